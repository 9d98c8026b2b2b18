"""Names of currencies by sign, by code (ISO 4217) and by the letters before a dollar sign: (one, more, one part, more parts)."""

from __future__ import annotations

Names = tuple[str, str, str, str]

SIGNS: dict[str, Names] = {
    "$": ("dollar", "dollars", "cent", "cents"), "£": ("pound", "pounds", "penny", "pence"),
    "€": ("euro", "euros", "cent", "cents"), "¥": ("yen", "yen", "", ""), "₹": ("rupee", "rupees", "paisa", "paise"),
    "₩": ("won", "won", "", ""), "₽": ("ruble", "rubles", "kopeck", "kopecks"), "₿": ("bitcoin", "bitcoins", "", ""),
    "₺": ("lira", "lira", "", ""), "¢": ("cent", "cents", "", ""), "₪": ("shekel", "shekels", "", ""),
    "₴": ("hryvnia", "hryvnias", "", ""), "₫": ("dong", "dong", "", ""), "₦": ("naira", "naira", "kobo", "kobo"),
    "₱": ("peso", "pesos", "centavo", "centavos"), "฿": ("baht", "baht", "", ""), "₸": ("tenge", "tenge", "", ""),
}
_CENTS = ("cent", "cents")
CODES: dict[str, Names] = {  # but none that is a word or a program: ALL, TRY, RON, PHP
    "USD": SIGNS["$"], "EUR": SIGNS["€"], "GBP": SIGNS["£"], "JPY": SIGNS["¥"], "INR": SIGNS["₹"],
    "CHF": ("Swiss franc", "Swiss francs", "", ""), "CAD": ("Canadian dollar", "Canadian dollars", *_CENTS),
    "AUD": ("Australian dollar", "Australian dollars", *_CENTS), "NZD": ("New Zealand dollar", "New Zealand dollars", *_CENTS),
    "HKD": ("Hong Kong dollar", "Hong Kong dollars", *_CENTS), "SGD": ("Singapore dollar", "Singapore dollars", *_CENTS),
    "SEK": ("Swedish krona", "Swedish kronor", "", ""), "NOK": ("Norwegian krone", "Norwegian kroner", "", ""),
    "DKK": ("Danish krone", "Danish kroner", "", ""), "ISK": ("Icelandic krona", "Icelandic kronur", "", ""),
    "PLN": ("Polish zloty", "Polish zlotys", "", ""), "CZK": ("Czech koruna", "Czech korunas", "", ""),
    "HUF": ("Hungarian forint", "Hungarian forints", "", ""),
    "CNY": ("yuan", "yuan", "", ""), "RMB": ("yuan", "yuan", "", ""), "KRW": SIGNS["₩"], "RUB": SIGNS["₽"],
    "ILS": SIGNS["₪"], "UAH": SIGNS["₴"], "NGN": SIGNS["₦"], "THB": SIGNS["฿"],
    "MXN": ("Mexican peso", "Mexican pesos", "centavo", "centavos"),
    "BRL": ("Brazilian real", "Brazilian reais", "centavo", "centavos"), "ZAR": ("rand", "rand", *_CENTS),
    "AED": ("dirham", "dirhams", "", ""), "SAR": ("riyal", "riyals", "", ""), "IDR": ("rupiah", "rupiah", "", ""),
    "VND": SIGNS["₫"], "PKR": ("Pakistani rupee", "Pakistani rupees", "", ""),
    "kr": ("krona", "kronor", "", ""), "zł": ("zloty", "zlotys", "", ""), "zl": ("zloty", "zlotys", "", ""),
    "Rs": SIGNS["₹"],
}
OF_DOLLARS = {"US": "U S", "CA": "Canadian", "C": "Canadian", "CAN": "Canadian", "AU": "Australian", "A": "Australian",
              "NZ": "New Zealand", "HK": "Hong Kong", "S": "Singapore", "SG": "Singapore", "TT": "Trinidad", "NT": "Taiwan",
              "J": "Jamaican"}
"""What stands before the sign of a dollar; "R$" and "MX$" are no dollars."""
OTHER_DOLLARS = {"R": CODES["BRL"], "MX": CODES["MXN"], "Mex": CODES["MXN"]}
