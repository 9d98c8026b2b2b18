"""Where a sentence may be cut for somebody who waits for its first sound."""

from __future__ import annotations

import pytest

from tts_meta.text.clauses import first_clause


@pytest.mark.parametrize(("sentence", "head"), [
    ("When the rain had stopped, we walked down to the harbour.", "When the rain had stopped,"),
    ("He stood — nobody knew why — at the door.", "He stood —"),
    ("Well, after all that rain, we walked down to the harbour.", "Well, after all that rain,"),  # one word is too little
    ("The plan (slow, dull, safe) was good; we all went home.", "The plan (slow, dull, safe) was good;"),
    ("Say [[hɛloʊ]], my dear friends, and then we go.", "Say [[hɛloʊ]], my dear friends,"),
])
def test_after_the_first_clause(sentence, head):
    found = first_clause(sentence)
    assert found is not None and found[0] == head
    assert f"{found[0]} {found[1]}" == sentence or "".join(found) == sentence.replace("— ", "—")


@pytest.mark.parametrize("sentence", [
    "The old lighthouse keeper poured himself another cup of tea.", "On March 3, 2024 it rained all day.",
    "Paris at 10:30 is fine.",
    "It costs 1,000 dollars a year.", '"One, two, three, four," she said.', "We saw *red, green, and blue* things.", "Yes, yes.",
])
def test_what_is_one_thing_stays_one(sentence):
    assert first_clause(sentence) is None
