"""Numbers with units: "60 km/h", "5'10\"", "20 m³", "-40°C". The number itself is said by the rules after these."""

from __future__ import annotations

import re

from tts_meta.text.rules import Rule
from tts_meta.text.spelling import NUMBER, many

_PREFIXED = {
    "m": ("meter", "meters"), "g": ("gram", "grams"), "l": ("liter", "liters"), "L": ("liter", "liters"), "W": ("watt", "watts"),
    "V": ("volt", "volts"), "Hz": ("hertz", "hertz"), "J": ("joule", "joules"), "Pa": ("pascal", "pascals"), "A": ("amp", "amps"),
    "B": ("byte", "bytes"), "b": ("bit", "bits"), "Wh": ("watt hour", "watt hours"), "Ah": ("amp hour", "amp hours"),
    "N": ("newton", "newtons"), "F": ("farad", "farads"), "s": ("second", "seconds"), "cal": ("calorie", "calories"),
    "Ω": ("ohm", "ohms"), "bps": ("bit per second", "bits per second"), "t": ("ton", "tons"),
    "eV": ("electron volt", "electron volts"),
}
_PREFIXES = {
    "n": "nano", "µ": "micro", "u": "micro", "m": "milli", "c": "centi", "d": "deci", "k": "kilo", "M": "mega", "G": "giga",
    "T": "tera", "h": "hecto",
}
_PREFIX_OF = {
    "m": "nµcdmk", "g": "nµumk", "l": "µmcdh", "L": "µmcd", "W": "µmkMGT", "V": "µmkM", "Hz": "kMGT", "J": "mkMG",
    "Pa": "hkMG", "A": "µm", "B": "kMGT", "b": "kMGT", "Wh": "mkMGT", "Ah": "m", "N": "kM", "F": "nµ", "s": "nµm", "cal": "k",
    "Ω": "kM", "bps": "kMGT", "t": "kM", "eV": "kMG",
}
_PLAIN = {
    "m": "m", "g": "g", "l": "l", "L": "L", "W": "W", "V": "V", "Hz": "Hz", "J": "J", "Pa": "Pa", "Wh": "Wh", "Ω": "Ω",
    "cal": "cal", "s": "s", "bps": "bps",
}
_OTHER = {
    "ft": ("foot", "feet"), "in.": ("inch", "inches"), "inch": ("inch", "inch"), "yd": ("yard", "yards"),
    "yds": ("yard", "yards"), "mi": ("mile", "miles"), "lb": ("pound", "pounds"), "lbs": ("pound", "pounds"),
    "oz": ("ounce", "ounces"), "gal": ("gallon", "gallons"), "qt": ("quart", "quarts"), "tsp": ("teaspoon", "teaspoons"),
    "tbsp": ("tablespoon", "tablespoons"), "pt": ("point", "points"), "px": ("pixel", "pixels"),
    "mph": ("mile per hour", "miles per hour"), "kph": ("kilometer per hour", "kilometers per hour"),
    "kmh": ("kilometer per hour", "kilometers per hour"), "mpg": ("mile per gallon", "miles per gallon"),
    "rpm": ("revolution per minute", "revolutions per minute"), "fps": ("frame per second", "frames per second"),
    "bpm": ("beat per minute", "beats per minute"), "psi": ("P S I", "P S I"), "dpi": ("D P I", "D P I"),
    "dB": ("decibel", "decibels"), "ha": ("hectare", "hectares"), "cc": ("C C", "C C"), "hr": ("hour", "hours"),
    "hrs": ("hour", "hours"), "h": ("hour", "hours"), "min": ("minute", "minutes"), "mins": ("minute", "minutes"),
    "sec": ("second", "seconds"), "secs": ("second", "seconds"), "yr": ("year", "years"), "yrs": ("year", "years"),
    "wk": ("week", "weeks"), "wks": ("week", "weeks"), "mo": ("month", "months"), "mos": ("month", "months"),
    "kn": ("knot", "knots"), "mcg": ("microgram", "micrograms"), "doz": ("dozen", "dozen"), "pcs": ("piece", "pieces"),
    "mmHg": ("millimeters of mercury", "millimeters of mercury"),
    "ppm": ("part per million", "parts per million"), "mol": ("mole", "moles"), "°C": ("degree Celsius", "degrees Celsius"),
    "°F": ("degree Fahrenheit", "degrees Fahrenheit"), "°K": ("kelvin", "kelvins"), "°": ("degree", "degrees"),
    "sq ft": ("square foot", "square feet"), "sq. ft.": ("square foot", "square feet"), "sqft": ("square foot", "square feet"),
    "sq m": ("square meter", "square meters"), "sq km": ("square kilometer", "square kilometers"),
    "sq mi": ("square mile", "square miles"), "cu ft": ("cubic foot", "cubic feet"), "fl oz": ("fluid ounce", "fluid ounces"),
    "fl. oz.": ("fluid ounce", "fluid ounces"),
}


def _units() -> dict[str, tuple[str, str]]:
    units = dict(_OTHER)
    for unit, (one, more) in _PREFIXED.items():
        if unit in _PLAIN:
            units[unit] = (one, more)
        for p in _PREFIX_OF[unit]:
            units[p + unit] = (_PREFIXES[p] + one, _PREFIXES[p] + more)
    units |= {"KB": units["kB"], "K" + "Hz": units["kHz"], "Kg": units["kg"], "KG": units["kg"], "KM": units["km"]}
    # In small or large letters where no other unit is meant: "10 MG", "5 KG", "2 gb".
    loose = {"kg", "km", "cm", "mm", "mg", "ml", "ft", "lb", "lbs", "oz", "yd", "mph", "kph", "rpm", "hz", "khz", "mhz", "ghz",
             "gb", "mb", "kb", "tb", "hrs",
             "hr", "mins", "min", "sec", "secs", "kwh", "psi", "kw", "db"}
    for unit in list(units):
        if unit.lower() in loose:
            units.setdefault(unit.lower(), units[unit])
            units.setdefault(unit.upper(), units[unit])
            units.setdefault(unit.capitalize(), units[unit])
    return units


UNITS = _units()
_STOPPED = {"ft", "lb", "lbs", "oz", "yd", "yds", "mi", "hr", "hrs", "min", "mins", "sec", "secs", "yr", "yrs", "gal", "qt",
            "tsp", "tbsp", "wk", "wks", "mo", "mos", "kg",
            "km", "cm", "mm", "approx"}
_UNIT = "|".join(re.escape(u) for u in sorted(UNITS, key=len, reverse=True))
_PER = {"h": "hour", "hr": "hour", "s": "second", "sec": "second", "min": "minute", "day": "day", "d": "day", "week": "week",
        "month": "month", "year": "year", "yr": "year",
        "kg": "kilogram", "m": "meter", "l": "liter", "L": "liter", "person": "person", "ml": "milliliter", "mL": "milliliter",
        "dL": "deciliter", "km": "kilometer", "m²": "square meter", "m2": "square meter", "m^2": "square meter",
        "m3": "cubic meter", "m^3": "cubic meter", "cm^2": "square centimeter", "cm^3": "cubic centimeter",
        "mile": "mile", "mi": "mile", "gal": "gallon", "night": "night", "hour": "hour", "minute": "minute", "second": "second",
        "s^2": "second squared", "mo": "month"}
_PERS = "|".join(re.escape(p) for p in sorted(_PER, key=len, reverse=True))
_POWERS = {"2": "square ", "3": "cubic ", "": ""}
_VALUE = rf"(?P<value>{NUMBER}|\b\d+\s\d+/\d+|\b\d+/\d+)"


def _plural(match: re.Match[str]) -> bool:
    """One is singular, and so is a unit tied to its number before a noun: "a 3-km run"."""
    value = match.group("value")
    if "/" in value:
        return " " in value
    if match.group("tie") == "-":
        return False
    return many(value)


def _measure(match: re.Match[str]) -> str:
    one, more = UNITS[match.group("unit")]
    per = f" per {_PER[match.group('per')]}" if match.group("per") else ""
    power = _POWERS[match.group("power") or ""]
    stop = match.group("stop") or ""
    if stop and (match.group("unit") in _STOPPED and match.string[match.end():].strip()):
        stop = ""
    return f"{match.group('value')} {power}{more if _plural(match) else one}{per}{stop}"


def _height(match: re.Match[str]) -> str:
    feet, inches = match.group(1), match.group(2)
    return f"{feet} {'foot' if feet == '1' else 'feet'} {inches} {'inch' if inches == '1' else 'inches'}"


def _inches(match: re.Match[str]) -> str:
    if match.string[: match.start()].count('"') % 2:
        return match.group(0)  # the end of a quotation
    return f"{match.group(1)} {'inches' if many(match.group(1)) else 'inch'}"


RULES: list[Rule] = [
    (re.compile(r"(?<![\w.])(\d{1,2})'\s?(\d{1,2})(?:\"|'')?(?![\w'])"), _height),
    (re.compile(r"(?<![\w.])(\d+(?:\.\d+)?)\"(?=\s+[a-z])"), _inches),
    (re.compile(r"(?<=\d)\sin(?=\s(?:tall|wide|long|high|deep|thick|across)\b)"), lambda m: " inches"),
    (re.compile(r"°\s(?=[CF]\b)"), lambda m: "°"),
    (re.compile(r"º"), lambda m: "°"),
    (re.compile(rf"(?<![\w.,])(\d+),(\d{{1,2}})(?=\s?(?:{_UNIT})(?![\w]))"), lambda m: f"{m.group(1)}.{m.group(2)}"),
    (re.compile(rf"(?<![\w]){_VALUE}(?P<tie>\s?|-)(?P<unit>{_UNIT})(?:\^?(?P<power>(?<=[a-z]\^)[23]|"
                rf"(?<=m)[23]))?(?:/(?P<per>{_PERS}))?(?![\w²³^]|'\w|/\w|-[A-Z])(?P<stop>\.)?"), _measure),
    (re.compile(r"(?P<value>(?<=\s|-)\d+)(?P<tie>)(?P<unit>ft|lbs?|oz|kg|km|cm|mm)(?P<power>)(?P<per>)(?P<stop>)\b"), _measure),
    (re.compile(r"(?<=\d)\s?%"), lambda m: " percent"),
    (re.compile(r"\b(sq|cu)\.?\s(?=(?:feet|foot|meters?|miles?|inch|inches|yards?)\b)"), lambda m: "square "
     if m.group(1) == "sq" else "cubic "),
]
