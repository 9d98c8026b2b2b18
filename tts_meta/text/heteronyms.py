"""Words that are written alike and said apart: "I read it" and "I will read it", "a live show" and "they live".

A part-of-speech tagger (an averaged perceptron of the package `denckring-en-pos`, trained on UD English-EWT) decides
where noun and verb differ; where the tag is not enough, the words around decide. Phones are espeak-ng's for en-us.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

_NOUN_VERB = {
    "abstract": ("ˈæbstɹækt", "æbstɹˈækt"), "abuse": ("ɐbjˈuːs", "ɐbjˈuːz"), "addict": ("ˈædɪkt", "ɐdˈɪkt"),
    "advocate": ("ˈædvəkət", "ˈædvəkˌeɪt"), "alternate": ("ˈɔːltɚnət", "ˈɔːltɚnˌeɪt"),
    "appropriate": ("ɐpɹˈoʊpɹɪət", "ɐpɹˈoʊpɹɪˌeɪt"), "approximate": ("ɐpɹˈɑːksɪmət", "ɐpɹˈɑːksɪmˌeɪt"),
    "articulate": ("ɑːɹtˈɪkjʊlət", "ɑːɹtˈɪkjʊlˌeɪt"), "associate": ("ɐsˈoʊsɪət", "ɐsˈoʊsɪˌeɪt"),
    "attribute": ("ˈætɹɪbjˌuːt", "ɐtɹˈɪbjuːt"), "combine": ("kˈɑːmbaɪn", "kəmbˈaɪn"), "compound": ("kˈɑːmpaʊnd", "kəmpˈaʊnd"),
    "compress": ("kˈɑːmpɹɛs", "kəmpɹˈɛs"), "conduct": ("kˈɑːndʌkt", "kəndˈʌkt"), "conflict": ("kˈɑːnflɪkt", "kənflˈɪkt"),
    "conscript": ("kˈɑːnskɹɪpt", "kənskɹˈɪpt"), "console": ("kˈɑːnsoʊl", "kənsˈoʊl"),
    "construct": ("kˈɑːnstɹʌkt", "kənstɹˈʌkt"), "contest": ("kˈɑːntɛst", "kəntˈɛst"), "contract": ("kˈɑːntɹækt", "kəntɹˈækt"),
    "contrast": ("kˈɑːntɹæst", "kəntɹˈæst"), "convert": ("kˈɑːnvɜːt", "kənvˈɜːt"), "convict": ("kˈɑːnvɪkt", "kənvˈɪkt"),
    "coordinate": ("koʊˈɔːɹdᵻnət", "koʊˈɔːɹdɪnˌeɪt"), "decrease": ("dˈiːkɹiːs", "dᵻkɹˈiːs"), "defect": ("dˈiːfɛkt", "dᵻfˈɛkt"),
    "delegate": ("dˈɛlɪɡət", "dˈɛlɪɡˌeɪt"), "deliberate": ("dᵻlˈɪbɚɹət", "dᵻlˈɪbɚɹˌeɪt"), "desert": ("dˈɛzɚt", "dᵻzˈɜːt"),
    "digest": ("dˈaɪdʒɛst", "daɪdʒˈɛst"), "discount": ("dˈɪskaʊnt", "dɪskˈaʊnt"), "duplicate": ("dˈuːplᵻkət", "dˈuːplᵻkˌeɪt"),
    "elaborate": ("ᵻlˈæbɚɹət", "ᵻlˈæbɚɹˌeɪt"), "entrance": ("ˈɛntɹəns", "ɛntɹˈæns"), "escort": ("ˈɛskɔːɹt", "ɛskˈɔːɹt"),
    "estimate": ("ˈɛstᵻmət", "ˈɛstᵻmˌeɪt"), "excuse": ("ɛkskjˈuːs", "ɛkskjˈuːz"), "exploit": ("ˈɛksplɔɪt", "ɛksplˈɔɪt"),
    "export": ("ˈɛkspɔːɹt", "ɛkspˈɔːɹt"), "extract": ("ˈɛkstɹækt", "ɛkstɹˈækt"), "graduate": ("ɡɹˈædʒuːət", "ɡɹˈædʒuːˌeɪt"),
    "house": ("hˈaʊs", "hˈaʊz"), "import": ("ˈɪmpɔːɹt", "ɪmpˈɔːɹt"), "increase": ("ˈɪŋkɹiːs", "ɪŋkɹˈiːs"),
    "insult": ("ˈɪnsʌlt", "ɪnsˈʌlt"), "intimate": ("ˈɪntᵻmət", "ˈɪntᵻmˌeɪt"), "moderate": ("mˈɑːdɚɹət", "mˈɑːdɚɹˌeɪt"),
    "object": ("ˈɑːbdʒɛkt", "ɑːbdʒˈɛkt"), "perfect": ("pˈɜːfɛkt", "pɚfˈɛkt"), "permit": ("pˈɜːmɪt", "pɚmˈɪt"),
    "present": ("pɹˈɛzənt", "pɹɪzˈɛnt"), "produce": ("pɹˈoʊduːs", "pɹədˈuːs"), "progress": ("pɹˈɑːɡɹɛs", "pɹəɡɹˈɛs"),
    "project": ("pɹˈɑːdʒɛkt", "pɹədʒˈɛkt"), "protest": ("pɹˈoʊtɛst", "pɹətˈɛst"), "rebel": ("ɹˈɛbəl", "ɹᵻbˈɛl"),
    "recall": ("ɹˈiːkɔːl", "ɹᵻkˈɔːl"), "record": ("ɹˈɛkɚd", "ɹᵻkˈɔːɹd"), "refund": ("ɹˈiːfʌnd", "ɹᵻfˈʌnd"),
    "refuse": ("ɹˈɛfjuːs", "ɹᵻfjˈuːz"), "reject": ("ɹˈiːdʒɛkt", "ɹᵻdʒˈɛkt"), "separate": ("sˈɛpɹət", "sˈɛpɚɹˌeɪt"),
    "subject": ("sˈʌbdʒɛkt", "səbdʒˈɛkt"), "suspect": ("sˈʌspɛkt", "səspˈɛkt"), "survey": ("sˈɜːveɪ", "sɚvˈeɪ"),
    "torment": ("tˈɔːɹmɛnt", "tɔːɹmˈɛnt"), "transfer": ("tɹˈænsfɜː", "tɹænsfˈɜː"), "transport": ("tɹˈænspɔːɹt", "tɹænspˈɔːɹt"),
    "upset": ("ˈʌpsɛt", "ʌpsˈɛt"), "use": ("jˈuːs", "jˈuːz"), "wind": ("wˈɪnd", "wˈaɪnd"), "dove": ("dˈʌv", "dˈoʊv"),
}
"""(as a noun or adjective, as a verb)."""
_ADJECTIVE_VERBAL = {"upset": "ʌpsˈɛt", "perfect": "pˈɜːfɛkt", "content": "kəntˈɛnt"}
_NO_PLURAL = {"perfect", "separate", "appropriate", "upset", "intimate", "moderate", "deliberate", "elaborate", "house",
              "produce"}
_BE = {"am", "is", "are", "was", "were", "be", "been", "being", "'s", "'re", "'m", "get", "got", "gets"}
_HAVE = {"have", "has", "had", "having", "'ve", "i've", "we've", "you've", "they've", "he's", "she's", "hasn't", "haven't",
         "hadn't"}
_TO_DO = {"to", "will", "would", "can", "could", "shall", "should", "may", "might", "must", "do", "does", "did", "don't",
          "doesn't", "didn't", "let's", "please", "won't", "can't", "couldn't", "wouldn't", "shouldn't", "i'll", "you'll",
          "he'll", "she'll", "we'll", "they'll", "cannot", "i'd", "help", "helps", "let", "make", "made"}
_SUBJECTS = {"i", "you", "we", "they", "he", "she", "it", "who", "people"}
_OBJECTS = {"the", "a", "an", "this", "these", "those", "it", "them", "him", "me", "us", "my", "your", "his", "their", "our"}
_SKIPPED = {"not", "never", "also", "just", "always", "often", "really", "already", "ever", "only", "still", "then", "now",
            "you", "we", "they", "i", "he", "she", "it", "both", "all"}
_USUALLY = {"every", "always", "often", "usually", "sometimes", "daily", "weekly", "rarely", "seldom", "generally", "each",
            "now", "whenever", "tonight", "tomorrow"}
_METAL = re.compile(r"\b(?:metal|metals|toxic|poison\w*|copper|tin|zinc|iron|gold|silver|melt\w*|dense|heavy|paint|pipes?|acid|"
                    r"atomic|element|alloy|mercury|arsenic|bullets?|contaminat\w*|blood)\b")
_LEAD_THINGS = {"pipe", "pipes", "paint", "paints", "poisoning", "acid", "balloon", "weight", "weights", "bullet", "bullets",
                "based", "free", "shot", "ore", "sheet", "roof", "battery", "batteries", "pencil",
                "mine", "mines", "glass", "crystal", "levels", "content", "exposure", "shield", "apron", "solder", "oxide"}
_TINY = {"detail", "details", "difference", "differences", "amount", "amounts", "quantity", "quantities", "particle",
         "particles", "trace", "traces", "change", "changes", "fraction", "scale", "crack",
         "cracks", "creature", "creatures", "variation", "variations", "print", "size", "fragments", "holes", "insects",
         "grains", "examination", "inspection", "organisms"}
_FISH = re.compile(r"\b(?:fish\w*|caught|catch\w*|lakes?|rivers?|striped|largemouth|smallmouth|grilled|fillets?|ponds?|trout|"
                   r"salmon|cook\w*|ate|eat|bait|hook\w*|swim\w*|swam|sea)\b")
_TORN = re.compile(r"\b(?:shirt|jacket|fabric|cloth|paper|page|sail|net|coat|dress|jeans|trousers|curtain|muscle|ligament|"
                   r"tendon|sleeve|tent|canvas|screen|skirt|bag|tissue|meniscus)\b")


class Context:
    """A word among its neighbours: small letters, and the tagger's `UPOS|VerbForm` of each."""

    def __init__(self, words: Sequence[str], tags: Sequence[str], at: int) -> None:
        self.words, self.tags, self.at = words, tags, at
        self.before = words[at - 1] if at else ""
        self.after = words[at + 1] if at + 1 < len(words) else ""
        self.tag, _, self.form = tags[at].partition("|")
        self.sentence = " ".join(words)

    @property
    def verb(self) -> bool:
        return self.tag in ("VERB", "AUX")

    def helper(self) -> str:
        """The word before it, adverbs and a turned-round subject left out: "did you ever read" -> "did"."""
        i = self.at - 1
        while i > 0 and self.words[i] in _SKIPPED and not (self.words[i] in _SUBJECTS and self.words[i - 1] not in _TO_DO
            | _HAVE | _BE):
            i -= 1
        return self.words[i] if i >= 0 else ""


def _read(c: Context) -> str:
    now, past = "ɹˈiːd", "ɹˈɛd"
    helper = c.helper()
    if helper in _TO_DO:
        return now
    if helper in _HAVE or helper in _BE or c.before == "well":
        return past
    if c.tag == "NOUN" and c.before not in _SUBJECTS:
        return now
    if c.at == 0 or c.before in ("and", "or", "then", "please", "now") and c.words[0] not in _SUBJECTS:
        return now
    return now if _USUALLY & set(c.words) and c.before not in ("he", "she", "it") else past


def _lead(c: Context) -> str:
    metal, first = "lˈɛd", "lˈiːd"
    if c.after in _LEAD_THINGS or c.before in ("molten", "pure", "containing", "contains", "contain"):
        return metal
    if c.verb or c.before in ("the", "a", "his", "her", "their", "our", "my", "your", "in", "this", "that", "no", "to", "one",
                              "early") and c.after not in ("is", "was"):
        return metal if c.before == "in" and _METAL.search(c.sentence) else first
    return metal if _METAL.search(c.sentence) or c.before in ("of", "with") and c.tag != "VERB" else first


def _live(c: Context) -> str:
    if c.helper() in _TO_DO - {"make", "made"} or c.before in _SUBJECTS or c.after in ("in", "with", "near", "on", "together",
        "alone", "here", "there", "happily", "longer") and c.verb:
        return "lˈɪv"
    if not c.after and c.at > 2 and not {"where", "who", "how", "that", "place", "way"} & set(c.words):
        return "lˈaɪv"  # "we watched it live"
    return "lˈɪv" if c.verb and c.before not in ("a", "the", "broadcast", "streamed", "is", "was", "are", "go", "goes", "went",
        "going", "performed", "recorded", "played", "our") else "lˈaɪv"


def _lives(c: Context) -> str:
    return "lˈɪvz" if c.verb or c.before in ("he", "she", "it", "who") else "lˈaɪvz"


def _tear(c: Context) -> str:
    rip, drop = "tˈɛɹ", "tˈɪɹ"
    if c.after in ("gas", "duct", "ducts", "drop", "stained", "jerker"):
        return drop
    if c.verb or c.helper() in _TO_DO or c.after in ("apart", "down", "up", "off", "open"):
        return rip
    return rip if _TORN.search(c.sentence) or (c.before == "and" and "wear" in c.words) else drop


def _tears(c: Context) -> str:
    return _tear(c) + "z"


def _close(c: Context) -> str:
    if c.after in ("to", "by", "friend", "friends", "up", "call", "together", "enough", "range", "relatives", "relationship",
                   "relations", "look", "attention", "proximity") and c.helper() not in _TO_DO:
        return "klˈoʊs"
    near = c.tag in ("ADJ", "ADV") and c.helper() not in _TO_DO and c.at > 0 or c.before in ("so", "too", "very", "quite",
        "as", "came", "come", "stay", "stayed", "how")
    return "klˈoʊs" if near else "klˈoʊz"


def _minute(c: Context) -> str:
    tiny = c.after in _TINY or c.before in ("so", "too", "very", "extremely", "are", "is", "was", "were") and c.after in ("",
        "and", "but", "that", "compared")
    return "maɪnˈuːt" if tiny or c.tag == "ADJ" and c.before not in ("one", "a", "last", "per", "every", "each") else "mˈɪnɪt"


def _wound(c: Context) -> str:
    if c.helper() in _TO_DO or not c.verb and c.after not in ("up", "around", "down", "round"):
        return "wˈuːnd"
    return "wˈaʊnd"


_BENT = {"arrow", "arrows", "violin", "cello", "string", "quiver", "rainbow", "rainbows", "ribbon", "ribbons", "hair"}
"""What is near the bow that is a thing."""
_COLOURS = {"red", "yellow", "green", "blue", "violet"}


def _bow(c: Context) -> str:
    bend, weapon = "bˈaʊ", "bˈoʊ"
    if c.after in ("tie", "ties") or _BENT.intersection(c.words) or "band" in c.words and _COLOURS.intersection(c.words):
        return weapon
    if c.verb or c.helper() in _TO_DO or c.after in ("down", "to", "before", "out"):
        return bend
    if re.search(r"\b(?:took|take|takes|taking|made|make|gave|give|final|deep|low|polite|"
                 r"little)\s+(?:a\s+)?(?:\w+\s+)?bows?\b", c.sentence):
        return bend
    return bend if re.search(r"\b(?:ships?|boats?|stern|deck|sail\w*|vessel|yacht|canoe|hull)\b", c.sentence) else weapon


def _bows(c: Context) -> str:
    return _bow(c) + "z"


def _bass(c: Context) -> str:
    return "bˈæs" if _FISH.search(c.sentence) and not re.search(r"\b(?:guitar|drum|player|music|band|sings?|voice|clef|"
        r"line)\b", c.sentence) else "bˈeɪs"


def _content(c: Context) -> str:
    if c.verb or c.tag == "ADJ" or (c.before in _BE | {"feel", "felt", "quite", "very", "perfectly", "not", "seem", "seems",
        "seemed", "more"} and c.after in ("", "with", "to", "and", "just")):
        return "kəntˈɛnt"
    return "kˈɑːntɛnt"


def _used(c: Context) -> str:
    following = c.words[c.at + 2] if c.at + 2 < len(c.words) else ""
    tag = c.tags[c.at + 2].partition("|")[0] if following else ""
    if c.after != "to":
        return "jˈuːzd"
    if c.before in _BE - {"get", "got", "gets"} and (tag in ("VERB", "AUX") and not following.endswith("ing")):
        return "jˈuːzd"
    return "jˈuːst"


def _resume(c: Context) -> str:
    paper = not c.verb and c.before in ("a", "the", "my", "your", "his", "her", "their", "our", "its", "this", "that", "and",
                                        "updated", "new", "good")
    return "ɹˈɛzuːmˌeɪ" if paper else "ɹᵻzˈuːm"


def _row(c: Context) -> str:
    return "ɹˈaʊ" if re.search(r"\b(?:had|have|having|has|a|terrible|big|furious|blazing)\s+(?:\w+\s+)?row\s+(?:with|over|"
                               r"about)\b", c.sentence) else "ɹˈoʊ"


def _sow(c: Context) -> str:
    return "sˈaʊ" if c.tag == "NOUN" and c.before in ("the", "a", "her", "that", "old", "big") else "sˈoʊ"


def _invalid(c: Context) -> str:
    return "ˈɪnvəlɪd" if c.tag == "NOUN" and c.before in ("an", "the", "old", "elderly", "poor", "for") and c.after in ("",
        "who", "was", "is", "and", "in", "needed", "could") else "ɪnvˈælɪd"


def _diffuse(c: Context) -> str:
    return "dᵻfjˈuːz" if c.verb else "dᵻfjˈuːs"


_OWN: dict[str, Callable[[Context], str]] = {
    "read": _read, "lead": _lead, "live": _live, "lives": _lives, "tear": _tear, "tears": _tears, "close": _close,
    "minute": _minute, "wound": _wound, "bow": _bow, "bows": _bows, "bass": _bass, "content": _content, "used": _used,
    "resume": _resume, "row": _row, "sow": _sow, "invalid": _invalid, "diffuse": _diffuse,
}


def _with_s(ipa: str) -> str:
    if ipa[-1] in "sz" or ipa.endswith(("ʃ", "ʒ")):
        return ipa + "ᵻz"
    return ipa + ("s" if ipa[-1] in "ptkfθ" else "z")


_PAIRS = _NOUN_VERB | {w + "s": (_with_s(a), _with_s(b)) for w, (a, b) in _NOUN_VERB.items() if w not in _NO_PLURAL}
_ANY = re.compile(r"\b(?:" + "|".join(sorted([*_PAIRS, *_OWN], key=len, reverse=True)) + r")\b", re.I)
_WORD = re.compile(r"\[\[.*?\]\]|[A-Za-z]+(?:'[A-Za-z]+)*|'[A-Za-z]+")


@lru_cache(maxsize=1)
def _tagger() -> Any:
    from denckring_en_pos import tagger

    return tagger()


def _pair(word: str, c: Context) -> str:
    noun, verb = _PAIRS[word]
    if c.tag == "ADJ" and word in _ADJECTIVE_VERBAL:
        return _ADJECTIVE_VERBAL[word]
    if c.at == 0 and word in _NOUN_VERB and c.after in _OBJECTS:
        return verb  # a command, which the tagger takes for a noun: "record this"
    if c.helper() in _TO_DO - {"help", "made", "make", "let"} and c.tag not in ("ADJ", "ADV") and c.before not in ("the", "a",
        "an", "his", "her", "my", "your", "their", "our", "its", "this", "that", "no"):
        return verb
    return verb if c.verb else noun


def pronounce(text: str, accent: Callable[[str], str] = str) -> str:
    """One sentence of spoken words -> the same with `[[phones]]` in place of every word that is said in more than one way;
    `accent` turns them into another accent's.

    Costs nothing where no such word stands; else about 0.1 ms a word, and 0.4 s once for loading the tagger.
    """
    if not _ANY.search(text):
        return text
    found = list(_WORD.finditer(text))
    words = [m.group(0).lower() for m in found]
    # An override is a word that the tagger has never seen.
    tags = _tagger().tag([m.group(0) for m in found])
    out, end = [], 0
    for i, match in enumerate(found):
        word = words[i]
        if word in _OWN or word in _PAIRS:
            context = Context(words, tags, i)
            ipa = _OWN[word](context) if word in _OWN else _pair(word, context)
            out += [text[end : match.start()], f"[[{accent(ipa)}]]"]
            end = match.end()
    return "".join([*out, text[end:]])
