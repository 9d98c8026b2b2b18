"""doctor, evaluate, compare, listening: how good it is, and whether everything is there."""

from __future__ import annotations

import json
import shlex
import sys
from pathlib import Path
from typing import Annotated

import typer

from tts_meta.cli.common import Json, emit, say, starter
from tts_meta.errors import InputError

Reference = Annotated[Path, typer.Option(help="Folder of real clips of the speaker.")]
Transcripts = Annotated[Path | None, typer.Option(help="csv/tsv with the columns file,text.")]
Voice = Annotated[str, typer.Option(help="A name in your library, or a .voice file.")]


def doctor(
    thorough: Annotated[bool, typer.Option("--thorough", help="Use every part once: some seconds.")] = False,
    as_json: Json = False,
) -> None:
    """Check that everything a clone needs is installed. Example: tts-meta doctor --thorough"""
    from tts_meta.doctor import GLANCE, THOROUGH, run_checks

    checks = run_checks(THOROUGH if thorough else GLANCE)
    ok = all(c["ok"] or c["optional"] for c in checks)
    if as_json:
        typer.echo(json.dumps({"ok": ok, "checks": checks}))
    else:
        for c in checks:
            mark = "ok  " if c["ok"] else ("note" if c["optional"] else "FAIL")
            typer.echo(f"{mark} {c['name']}: {c['detail']}")
        if not thorough:
            say("`tts-meta doctor --thorough` uses every part once.")
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
    from tts_meta.jobs.voice_origin import making_of
    from tts_meta.voices.library import find_voice
    from tts_meta.voices.voice_file import load_voice

    base = starter()
    loaded = load_voice(find_voice(voice), base)
    references = load_reference(reference, transcripts, set(loaded.header.get("clip_digests", [])), say)
    command = shlex.join(["tts-meta", *sys.argv[1:]])
    making = making_of(find_voice(voice), base)
    metrics = evaluate_voice(base, loaded, references, out, say=say, making=making, command=command, kept=_kept())
    s, w = metrics["similarity"], metrics["wer"]
    wer = "not measured" if w["clone"] is None else f"{100 * w['clone']:.1f} % (vocoded {100 * w['vocoded']:.1f} %)"
    emit(metrics, as_json, (
        f"{metrics['verdict']}\n"
        f"similarity: floor {s['floor']:.3f}  clone {s['clone']:.3f}  vocoded ceiling {s['ceiling_vocoded']:.3f}  "
        f"real ceiling {s['ceiling_real']:.3f}  position {s['position']:.2f}\nword error rate: {wer}"
        + (f"\nreport: {out / 'report.html'}" if out else "")
    ))


def _kept():
    """What was measured of recordings before, in the user's cache."""
    from tts_meta.cache import cache_folder
    from tts_meta.evaluation.kept import Kept

    return Kept(cache_folder() / "evaluated")


def compare(
    voices: Annotated[list[str], typer.Argument(help="Names in your library, or .voice files, of one speaker.")],
    reference: Reference,
    out: Annotated[Path, typer.Option(help="Folder for compare.html and a report of each voice.")],
    transcripts: Transcripts = None,
    as_json: Json = False,
) -> None:
    """Measure several voices of one speaker. Example: tts-meta compare me me2 --reference more_clips/ --out compared/"""
    from tts_meta.evaluation.compare import compare_voices, table

    base = starter()
    loaded, references = _voices_and_references(base, voices, reference, transcripts)
    metrics = compare_voices(base, loaded, references, out, say, _kept())
    width = max(len(label) for label, _ in loaded) + 2
    rows = [f"{'':46s}" + "".join(f"{label:>{max(width, 14)}s}" for label, _ in loaded)]
    rows += [f"{name:46s}" + "".join(f"{c:>{max(width, 14)}s}" for c in cells) for name, cells in table(metrics)]
    emit({"voices": metrics, "page": str(out / "compare.html")}, as_json, "\n".join([*rows, str(out / "compare.html")]))


def _voices_and_references(base, names: list[str], reference: Path, transcripts: Path | None):
    """[(label, voice)] and clips that none of them was made from."""
    from tts_meta.evaluation.evaluate import load_reference
    from tts_meta.voices.library import find_voice
    from tts_meta.voices.voice_file import load_voice

    loaded = [(find_voice(n).stem, load_voice(find_voice(n), base)) for n in names]
    used = {d for _, v in loaded for d in v.header.get("clip_digests", [])}
    return loaded, load_reference(reference, transcripts, used, say)


VERBS = {"doctor": doctor, "evaluate": evaluate, "compare": compare}
listening = typer.Typer(no_args_is_help=True, help="Ask people: a page to listen on, and what their answers say.")


@listening.command("make")
def listening_make(
    voices: Annotated[list[str], typer.Argument(help="Names in your library, or .voice files, of one speaker.")],
    reference: Reference,
    out: Annotated[Path, typer.Option(help="The page to write; its key is written beside it.")],
    kind: Annotated[str, typer.Option(help="abx, mos or similarity.")] = "abx",
    transcripts: Transcripts = None,
    sentences: Annotated[int, typer.Option(help="At most so many.")] = 8,
    seed: int = 0,
    as_json: Json = False,
) -> None:
    """Make a page for listeners. Example: tts-meta listening make me --reference more_clips/ --out test.html"""
    from tts_meta.evaluation.listening import KINDS, Heard, key_path, make_page
    from tts_meta.speaking.synthesize import Synthesizer

    if kind not in KINDS:
        raise InputError(f"The kind of test is {kind!r}; one of {', '.join(KINDS)} is expected.")
    base = starter()
    loaded, references = _voices_and_references(base, voices, reference, transcripts)
    sounds = [Heard("real", i, r.features.samples) for i, r in enumerate(references[:sentences])]
    for label, voice in loaded:
        synthesizer = Synthesizer.of(base, voice)
        sounds += [Heard(label, i, synthesizer.speak(r.text).samples) for i, r in enumerate(references[:sentences])]
    trials = make_page(out, kind, sounds, seed)
    result = {"page": str(out), "key": str(key_path(out)), "trials": trials}
    emit(result, as_json, f"{out}: {trials} trials; keep {key_path(out)} for the analysis")


@listening.command("analyse")
def listening_analyse(
    key: Annotated[Path, typer.Argument(help="The key that `make` wrote.")],
    answers: Annotated[list[Path], typer.Argument(help="The JSON files that listeners saved.")],
    as_json: Json = False,
) -> None:
    """What the listeners said. Example: tts-meta listening analyse test-KEY.json answers/*.json"""
    from tts_meta.evaluation.listening import analyse

    found = analyse(key, answers)
    lines = [f"{found['kind']}, {found['listeners']} listener(s)"]
    for r in found["systems"]:
        if found["kind"] == "abx":
            lines.append(f"{r['system']:20s} {100 * r['mean']:.0f} % right ({100 * r['low']:.0f} to {100 * r['high']:.0f} %, "
                         f"{r['answers']} answers; 50 % is guessing, p = {r['p_guessing']})")
        else:
            lines.append(f"{r['system']:20s} {r['mean']:.2f} ({r['low']:.2f} to {r['high']:.2f}, {r['answers']} answers)")
    emit(found, as_json, "\n".join(lines))
