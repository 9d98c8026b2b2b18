"""Signs that are said: mathematics, ampersands, arrows that are not."""

from __future__ import annotations

import re

from tts_meta.text.rules import Rule

_SAID = {
    "&": " and ", "%": " percent ", "@": " at ", "=": " equals ", "°": " degrees ", "÷": " divided by ", "×": " times ",
    "±": " plus or minus ", "≠": " is not equal to ", "≤": " less than or equal to ", "≥": " greater than or equal to ",
    "<": " less than ", ">": " greater than ", "∞": " infinity ", "√": " square root of ", "©": " copyright ",
    "§": " section ", "¶": " paragraph ", "‰": " per mille ",
    "π": " pi ", "Ω": " ohm ", "µ": " micro ", "α": " alpha ", "β": " beta ", "γ": " gamma ", "δ": " delta ",
    "Δ": " delta ", "λ": " lambda ", "θ": " theta ", "σ": " sigma ", "Σ": " sigma ", "φ": " phi ", "ω": " omega ",
    "ε": " epsilon ", "∑": " sum of ", "∫": " integral of ", "€": " euros ", "£": " pounds ", "$": " dollars ", "¥": " yen ",
    "^": " to the ", "~": " ", "|": ", ", "\\": " ", "*": " ", "_": " ", "#": " ", "/": " ", "{": " ", "}": " ", "•": ", ",
    "←": " ", "→": " ", "⇒": " ", "↔": " ", "\x00": " ",
}
_STEPS = {"+": "plus", "-": "minus", "*": "times", "/": "divided by"}
BEFORE: list[Rule] = [
    (re.compile(r"<\s*-+\s*>?|<?\s*=+\s*>(?!=)|-+>|[→←⇒↔⟶➜➔]"), lambda m: " "),
    (re.compile(r"<="), lambda m: "≤"),
    (re.compile(r">="), lambda m: "≥"),
    (re.compile(r"!=|=/="), lambda m: "≠"),
    (re.compile(r"=="), lambda m: "="),
    (re.compile(r"\+/-|\+-"), lambda m: "±"),
    (re.compile(r"(?:(?<!\w)~\s?(?=\d|[$£€])|[≈≃])\s?"), lambda m: " approximately "),
    (re.compile(r"\b([A-Za-z]\w*)\+\+"), lambda m: m.group(1) + " plus plus"),
    (re.compile(r"(?<=\w)\s?([+*/-])=(?=\s?\w)"), lambda m: f" {_STEPS[m.group(1)]} equals "),
    (re.compile(r"(?<=[\w)])\+|\+(?=\s?[\w(])(?!\d[\d\s().-]{6,})"), lambda m: " plus "),
]
AFTER: list[Rule] = [
    (re.compile(r"(?<=[^\W\d_]{2})\s-\s(?=[^\W\d_])"), lambda m: ", "),  # a dash in running text is a pause
    (re.compile("[" + re.escape("".join(_SAID)) + "]"), lambda m: _SAID[m.group(0)]),
]
