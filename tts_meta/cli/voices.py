"""voices: the library."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tts_meta.cli.common import Force, Json, emit, starter
from tts_meta.errors import InputError

app = typer.Typer(no_args_is_help=True, help="The voices you have.")


@app.command("list")
def voices_list(as_json: Json = False) -> None:
    """The voices in your library."""
    from tts_meta.voices.library import describe_voices

    rows = describe_voices()
    facts = [r["problem"] or f"{r['clips']} clips, {r['seconds']} s, {r['bytes']:,} bytes  {r['note']}" for r in rows]
    text = "\n".join(f"{r['name']:24s} {fact}" for r, fact in zip(rows, facts, strict=True))
    emit({"voices": rows}, as_json, text or "no voices yet; make one with `tts-meta clone`, or try `--voice example`")


@app.command("show")
def voices_show(name: str, as_json: Json = False) -> None:
    """What a voice file says about itself, and its modules: how far each may go (sigma) and how far it went."""
    from tts_meta.voices.library import facts, find_voice
    from tts_meta.voices.voice_header import read_header

    path = find_voice(name)
    header = read_header(path)
    modules = [
        {**m, "distance": header.get("distance", {}).get(m["name"])}
        for m in starter().module_table(header["modules"], header["method"]) if m["moved"]
    ]
    lines = facts(header)
    curve = header.get("heldout_loss") or []
    if curve:
        lines.append(f"held-out loss: {curve[0][1]:.2f} at step {curve[0][0]}, {min(c[1] for c in curve):.2f} at its best")
    rows = [f"{m['name']:30s} {m['parameters']:>9,}  {m['sigma_relative']:.4f}  {m['distance'] or 0:.5f}" for m in modules]
    head = f"{'module that moves':30s} {'parameters':>9s}  sigma/RMS  distance from phi"
    emit({"path": str(path), **header, "module_table": modules}, as_json, "\n".join([*lines, "", head, *rows]))


@app.command("rename")
def voices_rename(name: str, new: str, force: Force = False, as_json: Json = False) -> None:
    """Give a voice another name."""
    from tts_meta.voices.library import rename_voice

    path = rename_voice(name, new, force)
    emit({"voice": str(path)}, as_json, str(path))


@app.command("copy")
def voices_copy(name: str, new: str, force: Force = False, as_json: Json = False) -> None:
    """Duplicate a voice under a new name."""
    from tts_meta.voices.library import copy_voice

    path = copy_voice(name, new, force)
    emit({"voice": str(path)}, as_json, str(path))


@app.command("note")
def voices_note(name: str, note: Annotated[str, typer.Argument(help="What to remember; empty takes it away.")],
                as_json: Json = False) -> None:
    """Write a note into a voice."""
    from tts_meta.voices.library import note_voice

    path = note_voice(name, note)
    emit({"voice": str(path), "note": note}, as_json, str(path))


@app.command("sample")
def voices_sample(name: str, out: str, as_json: Json = False) -> None:
    """Write a sound file (wav, mp3, ...) of the voice saying a sample sentence."""
    from tts_meta.audio.files import sound_path, write_sound
    from tts_meta.audio.mel import SAMPLE_RATE
    from tts_meta.jobs.job_folder import PREVIEW
    from tts_meta.speaking.synthesize import Synthesizer
    from tts_meta.voices.library import find_voice
    from tts_meta.voices.voice_file import load_voice

    target, base = sound_path(out), starter()
    write_sound(target, Synthesizer.of(base, load_voice(find_voice(name), base)).speak(PREVIEW).samples, SAMPLE_RATE)
    emit({"out": str(target), "text": PREVIEW}, as_json, str(target))


@app.command("delete")
def voices_delete(name: str, as_json: Json = False) -> None:
    """Delete a voice of your library."""
    from tts_meta.voices.library import delete_voice

    path = delete_voice(name)
    emit({"deleted": str(path)}, as_json, f"deleted {path}")


@app.command("export")
def voices_export(
    name: str, out: Path, force: Force = False,
    kokoro: Annotated[bool, typer.Option("--kokoro", help="As a voice for Kokoro's own programs (.pt, two styles).")] = False,
    as_json: Json = False,
) -> None:
    """Copy a voice out of your library."""
    from tts_meta.voices.library import export_voice, find_voice

    if kokoro:
        from tts_meta.voices.kokoro_voice import write_kokoro_voice
        from tts_meta.voices.voice_file import load_voice

        path = out / f"{name}.pt" if out.is_dir() else out
        if path.exists() and not force:
            raise InputError(f"{path} exists; choose another file or add --force.")
        write_kokoro_voice(path, starter(), load_voice(find_voice(name), starter()))
    else:
        path = export_voice(name, out, force)
    emit({"out": str(path)}, as_json, str(path))


@app.command("import")
def voices_import(file: Path, force: Force = False, as_json: Json = False) -> None:
    """Check a voice file and copy it into your library."""
    from tts_meta.voices.library import import_voice

    path = import_voice(file, starter(), force)
    emit({"voice": str(path)}, as_json, str(path))
