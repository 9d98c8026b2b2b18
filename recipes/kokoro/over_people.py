"""What is measured on development people, one after another, and kept in a JSON file as it grows."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from pathlib import Path

import torch
from arms import recorded, split

from tts_meta.audio.files import replace_file
from tts_meta.kokoro.clips import KokoroItem
from tts_meta.starters.kokoro_starter import KokoroStarter

Measured = Callable[[str, list[KokoroItem], list[KokoroItem]], dict]
"""(speaker, ten clips to learn from, eight others) -> what is kept of them."""


def over_people(description: str | None, starter: KokoroStarter, measure: Measured) -> tuple[dict[str, dict], Path]:
    """{speaker: what was measured} of those that the command line asks for, from a folder of recordings (manifest.tsv), and the
    file that it is kept in. A speaker that is there already is not measured again."""
    p = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("root", type=Path)
    p.add_argument("--speakers", required=True, help="apart by commas")
    p.add_argument("--out", type=Path, required=True)
    args = p.parse_args()
    torch.set_num_threads(1)
    found = json.loads(args.out.read_text()) if args.out.exists() else {}
    for name, person in recorded(args.root, starter, [n for n in args.speakers.split(",") if n not in found]).items():
        found[name] = measure(name, *split(person))
        print(name, found[name], flush=True)
        keep(found, args.out)
    return found, args.out


def keep(found: dict, path: Path) -> None:
    replace_file(path, (json.dumps(found, indent=1) + "\n").encode())
