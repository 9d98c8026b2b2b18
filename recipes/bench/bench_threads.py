"""Seconds of a short clone with one thread and with two side by side, on an idle machine and beside busy processes.

    python recipes/bench/bench_threads.py          # about ten minutes on two cores; nothing else should run
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

CLIPS = Path(__file__).resolve().parents[2] / "app" / "examples" / "p225" / "clips"
BUSY = "import torch; torch.set_num_threads(1); a = torch.randn(700, 700)\nwhile True: a @ a"


def clone(threads: int) -> float:
    """Seconds of 72 steps as `tts-meta clone` counts them."""
    with tempfile.TemporaryDirectory() as home:
        environment = {**os.environ, "TTS_META_HOME": home, "TTS_META_THREADS": str(threads)}
        words = [sys.executable, "-m", "tts_meta.cli", "clone", str(CLIPS), "--name", "x", "--consent", "bench", "--steps", "60"]
        done = subprocess.run([*words, "--json"], env=environment, capture_output=True, text=True, check=True)
        return float(json.loads(done.stdout)["seconds_total"])


def main() -> None:
    argparse.ArgumentParser(description=__doc__).parse_args()
    print("| busy processes | 1 thread, s | 2 threads, s |\n|---|---|---|")
    for busy in (0, 1, 2):
        others = [subprocess.Popen([sys.executable, "-c", BUSY]) for _ in range(busy)]
        try:
            time.sleep(5.0)
            print(f"| {busy} | {clone(1):.0f} | {clone(2):.0f} |", flush=True)
        finally:
            for o in others:
                o.kill()


if __name__ == "__main__":
    main()
