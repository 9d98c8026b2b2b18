"""The `tts-meta` verbs. Human text goes to stderr, results to stdout; `--json` prints one JSON object there.

Exit codes: 0 only if the result exists and loads, 2 for bad input (one sentence on stderr), 1 for a bug.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from tts_meta.errors import InputError

app = typer.Typer(no_args_is_help=True, add_completion=False, help="Clone a voice from a few clips and make it speak.")
voices_app = typer.Typer(no_args_is_help=True, help="The voices you have.")
app.add_typer(voices_app, name="voices")

Json = Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout.")]
Force = Annotated[bool, typer.Option("--force", help="Replace what exists.")]


def _say(message: str) -> None:
    typer.echo(message, err=True)


def _emit(result: dict, as_json: bool, text: str) -> None:
    typer.echo(json.dumps(result) if as_json else text)


def _starter():
    import torch

    from tts_meta.voices.starter import default_starter

    # Two OpenMP threads pay only on an idle machine with large batches; synthesis and cloning gain from them there.
    torch.set_num_threads(int(os.environ.get("TTS_META_THREADS", str(min(2, os.cpu_count() or 1)))))
    return default_starter()


@app.command()
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


@app.command()
def clone(
    clips: Annotated[list[Path], typer.Argument(help="Audio files, or folders of them.")],
    name: Annotated[str, typer.Option(help="Name of the new voice.")],
    transcripts: Annotated[Path | None, typer.Option(help="csv/tsv with the columns file,text.")] = None,
    steps: Annotated[int | None, typer.Option(help="Inner steps; long runs are safe.")] = None,
    method: Annotated[str, typer.Option(help="sigma, embedding or all.")] = "sigma",
    consent: Annotated[str, typer.Option(help="Who allowed this voice to be made, kept in the file.")] = "",
    out: Annotated[Path | None, typer.Option(help="Folder for NAME.voice; default: your library.")] = None,
    force: Force = False,
    seed: int = 0,
    as_json: Json = False,
) -> None:
    """Clone a voice. Example: tts-meta clone my_clips/ --name me --consent "my own voice" """
    from tts_meta.voices.clone import clone_voice
    from tts_meta.voices.library import library_folder

    def progress(p) -> None:
        held = "" if p.heldout_loss is None else f"  held-out {p.heldout_loss:8.3f}"
        left = f"{p.seconds / p.step * (p.steps - p.step):5.0f} s left" if p.step else ""
        _say(f"step {p.step:5d}/{p.steps}{held}  best step {p.best_step:5d}  {p.seconds:6.1f} s  {left}")

    made = clone_voice(
        _starter(), clips, name, out or library_folder(), transcripts, steps, method, consent, force, seed,
        on_message=_say, on_progress=progress,
    )
    moved = [m["name"] for m in made.summary["modules"] if m["moved"]]
    _say(f"{len(moved)} modules moved; {made.summary['bytes'] / 1e6:.2f} MB; {made.summary['seconds_total']:.0f} s")
    _emit(made.summary, as_json, str(made.path))


@app.command()
def say(
    text: Annotated[str, typer.Argument(help="What to say; [[phonemes]] in double brackets; - reads stdin.")],
    voice: Annotated[str, typer.Option(help="A name in your library, or a .voice file.")],
    out: Annotated[Path, typer.Option(help="The wav file to write.")],
    speed: Annotated[float, typer.Option(help="1 is normal, 2 twice as fast.")] = 1.0,
    pitch: Annotated[float, typer.Option(help="Semitones up or down.")] = 0.0,
    energy: Annotated[float, typer.Option(help="dB of effort, up or down.")] = 0.0,
    lexicon: Annotated[Path | None, typer.Option(help="File of `word IPA` lines.")] = None,
    seed: int = 0,
    as_json: Json = False,
) -> None:
    """Speak text in a voice. Example: tts-meta say "Good morning." --voice me --out hello.wav"""
    from tts_meta.audio.files import write_wav
    from tts_meta.audio.mel import SAMPLE_RATE
    from tts_meta.text.phonemes import read_lexicon
    from tts_meta.voices.library import find_voice
    from tts_meta.voices.synthesize import Synthesizer
    from tts_meta.voices.voice_file import load_voice

    del seed  # synthesis is deterministic; the flag is part of the contract for voices that will not be
    starter = _starter()
    loaded = load_voice(find_voice(voice), starter)
    words = sys.stdin.read() if text == "-" else text
    spoken = Synthesizer.of(starter, loaded).speak(
        words, speed, pitch, energy, read_lexicon(lexicon) if lexicon else None
    )
    write_wav(out, spoken.samples, SAMPLE_RATE)
    result = {"out": str(out), "seconds": round(spoken.seconds, 3), "sample_rate": SAMPLE_RATE, "voice": loaded.name}
    _emit(result, as_json, str(out))


@app.command()
def evaluate(
    voice: Annotated[str, typer.Option(help="A name in your library, or a .voice file.")],
    reference: Annotated[Path, typer.Option(help="Folder of real clips of the speaker.")],
    transcripts: Annotated[Path | None, typer.Option(help="csv/tsv with the columns file,text.")] = None,
    out: Annotated[Path | None, typer.Option(help="Folder for report.html, metrics.json, utterances.csv.")] = None,
    as_json: Json = False,
) -> None:
    """Measure how good a clone is. Example: tts-meta evaluate --voice me --reference more_clips/ --out report/"""
    from tts_meta.evaluation.evaluate import evaluate_voice, load_reference
    from tts_meta.voices.library import find_voice
    from tts_meta.voices.voice_file import load_voice

    starter = _starter()
    loaded = load_voice(find_voice(voice), starter)
    references = load_reference(reference, transcripts, set(loaded.header.get("clip_digests", [])), _say)
    metrics = evaluate_voice(starter, loaded, references, out, say=_say)
    s, w = metrics["similarity"], metrics["wer"]
    wer = "not measured" if w["clone"] is None else f"{100 * w['clone']:.1f} % (vocoded {100 * w['vocoded']:.1f} %)"
    _emit(metrics, as_json, (
        f"similarity: floor {s['floor']:.3f}  clone {s['clone']:.3f}  vocoded ceiling {s['ceiling_vocoded']:.3f}  "
        f"real ceiling {s['ceiling_real']:.3f}  position {s['position']:.2f}\nword error rate: {wer}"
        + (f"\nreport: {out / 'report.html'}" if out else "")
    ))


@voices_app.command("list")
def voices_list(as_json: Json = False) -> None:
    """The voices in your library."""
    from tts_meta.voices.library import list_voices
    from tts_meta.voices.voice_file import read_header

    rows = []
    for path in list_voices():
        header = read_header(path)
        rows.append({"name": path.stem, "path": str(path), "bytes": path.stat().st_size, "clips": header.get("clips"),
                     "seconds": header.get("seconds"), "created": header.get("created")})
    text = "\n".join(f"{r['name']:24s} {r['clips']} clips, {r['seconds']} s, {r['bytes']:,} bytes" for r in rows)
    _emit({"voices": rows}, as_json, text or "no voices yet; make one with `tts-meta clone`")


@voices_app.command("show")
def voices_show(name: str, as_json: Json = False) -> None:
    """What a voice file says about itself."""
    from tts_meta.voices.library import find_voice
    from tts_meta.voices.voice_file import read_header

    path = find_voice(name)
    header = read_header(path)
    _emit({"path": str(path), **header}, as_json, json.dumps(header, indent=1))


@voices_app.command("delete")
def voices_delete(name: str, as_json: Json = False) -> None:
    """Delete a voice of your library."""
    from tts_meta.voices.library import delete_voice

    path = delete_voice(name)
    _emit({"deleted": str(path)}, as_json, f"deleted {path}")


@voices_app.command("export")
def voices_export(name: str, out: Path, force: Force = False, as_json: Json = False) -> None:
    """Copy a voice out of your library."""
    from tts_meta.voices.library import export_voice

    path = export_voice(name, out, force)
    _emit({"out": str(path)}, as_json, str(path))


@voices_app.command("import")
def voices_import(file: Path, force: Force = False, as_json: Json = False) -> None:
    """Check a voice file and copy it into your library."""
    from tts_meta.voices.library import import_voice

    path = import_voice(file, _starter(), force)
    _emit({"voice": str(path)}, as_json, str(path))


@app.command("app")
def page(host: str = "127.0.0.1", port: int = 7860) -> None:
    """Open the page in a browser. Example: tts-meta app"""
    from app.page import serve

    if host not in ("127.0.0.1", "localhost", "::1"):
        _say(f"Warning: {host} lets other machines reach this page and its voices; there is no password.")
    serve(host, port)


def main() -> None:
    """Entry point: bad input is one sentence and exit code 2."""
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")
    try:
        app()
    except InputError as e:
        _say(f"Error: {e}")
        sys.exit(2)


if __name__ == "__main__":
    main()
