"""Lists whose rows have buttons of their own, as HTML: clips, texts, voices. They wrap where a table would not fit."""

from __future__ import annotations

import html
import json
from collections.abc import Iterable

import gradio as gr

from tts_meta.clips.draft_clips import Draft

BADGES = {"green": "✓ good", "amber": "! check", "red": "✗ left out", "none": "not checked"}
"""Shape and words beside the colour: not everybody sees colours apart."""

ON_LOAD = """
element.addEventListener('click', e => {
  const b = e.target.closest('[data-act]');
  if (!b) return;
  const value = b.dataset.ask ? prompt(b.dataset.ask, b.dataset.value || '') : '';
  if (value !== null) trigger('click', {act: b.dataset.act, of: b.dataset.of, value: value});
});
element.addEventListener('change', e => {
  if (e.target.dataset.of) trigger('input', {of: e.target.dataset.of, text: e.target.value});
});
"""
"""A button says what is to be done to which row, and asks for a name where it needs one; a text says that it was changed."""

SHOWN = """(window, shown, ...rest) => {
  const list = document.querySelector('#texts .rows');
  const rows = list && [...list.querySelectorAll('textarea')].map(t => [t.dataset.of, t.value]);
  return [window, rows ? JSON.stringify(rows) : '', ...rest];
}"""
"""JavaScript: the second input of a handler is what stands in the list of texts at this moment."""


def listing(elem_id: str, value: str = "") -> gr.HTML:
    """A list on the page; its events are `click` and `input`."""
    return gr.HTML(value, elem_id=elem_id, js_on_load=ON_LOAD)


def button(act: str, of: str, label: str, ask: str = "", value: str = "", quiet: bool = False, says: str = "") -> str:
    """A button of a row; `says` is what a screen reader is told."""
    asked = f' data-ask="{html.escape(ask)}" data-value="{html.escape(value)}"' if ask else ""
    return (f'<button type="button" data-act="{act}" data-of="{html.escape(of)}"{asked}{" class=quiet" if quiet else ""} '
            f'aria-label="{html.escape(says or f"{label} {of}")}">{label}</button>')


def rows(items: Iterable[str], empty: str) -> str:
    """A list of rows, or what stands in its place."""
    inside = "".join(f"<li>{i}</li>" for i in items)
    return f'<ul class="rows">{inside}</ul>' if inside else f"<p>{html.escape(empty)}</p>"


def badge(level: str) -> str:
    """A verdict as a colour and a shape."""
    return f'<span class="badge {level}">{BADGES[level]}</span>'


def clips(draft: Draft) -> str:
    """The gathered clips with what the doctor said, where the text is still the one that was looked at."""
    texts = {r.clip: r.text for r in draft.rows}
    judged: dict[str, list[dict]] = {}
    for v in draft.verdicts:
        if texts.get(v["clip"]) == v["of"]:
            judged.setdefault(v["clip"], []).append(v)
    items = []
    for r in draft.rows:
        end = f'<span class="end">{button("remove", r.clip, "Remove", quiet=True)}</span>'
        start = f'{button("play", r.clip, "▶", says=f"Play {r.clip}")}<span class="named">{html.escape(r.clip)}</span>'
        found = judged.get(r.clip) or [{"level": "none", "length": "", "why": ""}]
        for i, v in enumerate(found):
            why = f'<span class="why">{html.escape(v["why"])}</span>' if v["why"] else ""
            items.append(f'{start if i == 0 else ""}<span>{v["length"]}</span>{badge(v["level"])}{end if i == 0 else ""}{why}')
    return rows(items, "No clips yet.")


def texts(draft: Draft) -> str:
    """The gathered clips and what is said in them, to be read, typed and heard."""
    items = []
    for r in draft.rows:
        note = r.note if r.text else "needs its text"
        items.append(
            f'{button("play", r.clip, "▶", says=f"Play {r.clip}")}<span class="named">{html.escape(r.clip)}</span>'
            f'<span>{html.escape(note)}</span><span class="end">{button("remove", r.clip, "Remove", quiet=True)}</span>'
            f'<textarea rows="2" data-of="{html.escape(r.clip)}" aria-label="What is said in {html.escape(r.clip)}">'
            f"{html.escape(r.text)}</textarea>")
    return rows(items, "No clips yet: step 1 gathers them.")


def typed(window: str, shown: str) -> Draft:
    """A window's draft with the texts that stand in its list; blanks change nothing."""
    draft = Draft.of(window)
    if pairs := [(c, t) for c, t in read(shown) if t.strip()]:
        draft.edit(pairs)
    return draft


def read(shown: str) -> list[tuple[str, str]]:
    """(clip, text) of what a list on the page showed; empty where it was never opened."""
    return [(str(c), str(t)) for c, t in json.loads(shown)] if shown else []
