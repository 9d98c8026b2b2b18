"""export-onnx: a voice for programs without torch."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tts_meta.cli.common import Json, Vocoder, emit, starter
from tts_meta.places import choose_vocoder


def export_onnx(
    voice: Annotated[str, typer.Argument(help="A name in your library, or a .voice file.")],
    out: Annotated[Path, typer.Option(help="Folder for text.onnx, sound.onnx, vocoder.onnx and voice.json.")],
    vocoder: Vocoder = None,
    int8: Annotated[bool, typer.Option("--int8", help="Weights in 8 bits: a quarter of the bytes.")] = False,
    as_json: Json = False,
) -> None:
    """Write a voice as ONNX graphs, which speak without torch. Example: tts-meta export-onnx me --out me-onnx/"""
    choose_vocoder(vocoder)
    from tts_meta.voices.library import find_voice

    path = find_voice(voice)

    from tts_meta.export.voice_onnx import export_voice
    from tts_meta.voices.voice_file import load_voice

    base = starter()
    sizes = export_voice(base, load_voice(path, base), out, int8)
    lines = [f"{out / name}  {size:,} bytes" for name, size in sizes.items()]
    emit({"out": str(out), "bytes": sizes}, as_json, "\n".join([*lines, f"{sum(sizes.values()) / 1e6:.1f} MB in all"]))


VERBS = {"export-onnx": export_onnx}
