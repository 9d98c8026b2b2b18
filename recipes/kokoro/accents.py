"""In which accent are people's clips likelier? What `tts-meta clone` chooses by, of ten clips of each person in a folder.

    python recipes/kokoro/accents.py ../shared/data/speech/train --out docs/kokoro_accents.json
    python recipes/kokoro/accents.py ../shared/data/speech/heldout --out docs/kokoro_accents.json

`gain`: nats a mel frame by which the clips are likelier with British phonemes than with American ones, each aligned anew.
Kept under the folder's name. Seven seconds a person on one core; who is in the file is not measured again.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

import torch

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "recipes"), str(ROOT / "recipes" / "kokoro")]

from heldout import sentence_case, speakers_of, split  # noqa: E402
from over_people import keep  # noqa: E402

from tts_meta.clips.checkup import check_clips  # noqa: E402
from tts_meta.clips.heard_accent import prepare_in_accent  # noqa: E402
from tts_meta.errors import InputError  # noqa: E402
from tts_meta.starters.kokoro_starter import load_kokoro  # noqa: E402


def main() -> None:
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("root", type=Path)
    p.add_argument("--out", type=Path, required=True)
    args = p.parse_args()
    torch.set_num_threads(1)
    starter = load_kokoro()
    everybody = json.loads(args.out.read_text()) if args.out.exists() else {}
    found = everybody.setdefault(args.root.resolve().name, {})
    for name, rows in speakers_of(args.root).items():
        if name in found or len(rows) < 10:
            continue
        texts = {args.root / r["path"]: sentence_case(r["text"]) for r in split(rows)[0]}
        try:
            heard = prepare_in_accent(check_clips(list(texts), texts, starter).require(), starter)
        except InputError as e:
            print(f"{name}: {e}", flush=True)
            continue
        found[name] = {"gain": round(heard.gain, 3), "clips": len(heard.clips), "heard": heard.network.accent}
        print(name, found[name], flush=True)
        keep(everybody, args.out)


if __name__ == "__main__":
    main()
