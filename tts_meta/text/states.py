"""The letters of an American state at the end of an address: "Boston, MA 02134"."""

from __future__ import annotations

import re

from tts_meta.text.rules import Rule
from tts_meta.text.spelling import digits

_NAMES = {
    "AL": "Alabama", "AK": "Alaska", "AZ": "Arizona", "AR": "Arkansas", "CA": "California", "CO": "Colorado",
    "CT": "Connecticut", "DE": "Delaware", "FL": "Florida", "GA": "Georgia", "HI": "Hawaii", "ID": "Idaho", "IL": "Illinois",
    "IN": "Indiana", "IA": "Iowa", "KS": "Kansas", "KY": "Kentucky", "LA": "Louisiana", "ME": "Maine", "MD": "Maryland",
    "MA": "Massachusetts", "MI": "Michigan", "MN": "Minnesota", "MS": "Mississippi", "MO": "Missouri", "MT": "Montana",
    "NE": "Nebraska", "NV": "Nevada", "NH": "New Hampshire", "NJ": "New Jersey", "NM": "New Mexico", "NY": "New York",
    "NC": "North Carolina", "ND": "North Dakota", "OH": "Ohio", "OK": "Oklahoma", "OR": "Oregon", "PA": "Pennsylvania",
    "RI": "Rhode Island", "SC": "South Carolina", "SD": "South Dakota", "TN": "Tennessee", "TX": "Texas", "UT": "Utah",
    "VT": "Vermont", "VA": "Virginia", "WA": "Washington", "WV": "West Virginia", "WI": "Wisconsin", "WY": "Wyoming",
}
_WORDS = {"HI", "IN", "ME", "OH", "OK", "OR", "LA", "MD", "ID", "CO"}
"""Words, greetings and titles too ("Well, OK."): a state only where a postal code follows."""
_CODE = r"\s+(\d{5})(?:-(\d{4}))?\b"
_SURE = "|".join(s for s in _NAMES if s not in _WORDS)


def _state(match: re.Match[str]) -> str:
    return _NAMES[match.group(1)]


def _with_code(match: re.Match[str]) -> str:
    return " ".join([_state(match), *(digits(code) for code in match.groups()[1:] if code)])


RULES: list[Rule] = [
    (re.compile(rf"(?<=[a-z],\s)({'|'.join(_NAMES)}){_CODE}"), _with_code),
    (re.compile(rf"(?<=[a-z],\s)({_SURE})(?=\s*(?:[.,;:?!)]|$))"), _state),
]
