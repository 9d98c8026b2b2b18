"""doctor, evaluate, compare, listening: how good it is, and whether everything is there."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from tts_meta.cli.common import Json, emit, say, starter

Reference = Annotated[Path, typer.Option(help="Folder of real clips of the speaker.")]
Transcripts = Annotated[Path | None, typer.Option(help="csv/tsv with the columns file,text.")]
Voice = Annotated[str, typer.Option(help="A name in your library, or a .voice file.")]


def doctor(as_json: Json = False) -> None:
    """Check that everything a clone needs is installed and works. Example: tts-meta doctor"""
    from tts_meta.doctor import run_checks

    checks = run_checks()
    ok = all(c["ok"] or c["optional"] for c in checks)
    if as_json:
        typer.echo(json.dumps({"ok": ok, "checks": checks}))
    else:
        for c in checks:
            mark = "ok  " if c["ok"] else ("note" if c["optional"] else "FAIL")
            typer.echo(f"{mark} {c['name']}: {c['detail']}")
    raise typer.Exit(0 if ok else 1)


def evaluate(
    voice: Voice,
    reference: Reference,
    transcripts: Transcripts = None,
    out: Annotated[Path | None, typer.Option(help="Folder for report.html, metrics.json, utterances.csv.")] = None,
    as_json: Json = False,
) -> None:
    """Measure how good a clone is. Example: tts-meta evaluate --voice me --reference more_clips/ --out report/"""
    from tts_meta.evaluation.evaluate import evaluate_voice, load_reference
    from tts_meta.voices.library import find_voice
    from tts_meta.voices.voice_file import load_voice

    base = starter()
    loaded = load_voice(find_voice(voice), base)
    references = load_reference(reference, transcripts, set(loaded.header.get("clip_digests", [])), say)
    metrics = evaluate_voice(base, loaded, references, out, say=say)
    s, w = metrics["similarity"], metrics["wer"]
    wer = "not measured" if w["clone"] is None else f"{100 * w['clone']:.1f} % (vocoded {100 * w['vocoded']:.1f} %)"
    emit(metrics, as_json, (
        f"similarity: floor {s['floor']:.3f}  clone {s['clone']:.3f}  vocoded ceiling {s['ceiling_vocoded']:.3f}  "
        f"real ceiling {s['ceiling_real']:.3f}  position {s['position']:.2f}\nword error rate: {wer}"
        + (f"\nreport: {out / 'report.html'}" if out else "")
    ))


VERBS = (doctor, evaluate)
listening = typer.Typer(no_args_is_help=True, help="Ask people: a page to listen on, and what their answers say.")
