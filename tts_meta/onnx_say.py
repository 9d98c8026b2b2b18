"""Speak with the files of `tts-meta export-onnx`, by numpy, onnxruntime and phonemizer (with espeak-ng) alone:
`python -m tts_meta.onnx_say FOLDER "Good morning." hello.wav [SPEED]`."""

import json
import re
import sys
import wave
from pathlib import Path

import numpy as np
from onnxruntime import InferenceSession
from phonemizer.backend import EspeakBackend
from phonemizer.separator import Separator

MARKS = tuple(",.?!;:")


class Voice:
    """The graphs of a folder made by `tts-meta export-onnx`."""

    def __init__(self, folder: str) -> None:
        self.about = json.loads((Path(folder) / "voice.json").read_text(encoding="utf-8"))
        self.text, self.sound, self.vocoder = (InferenceSession(Path(folder) / f"{n}.onnx") for n in ("text", "sound", "vocoder"))

    def phones(self, text: str) -> list[tuple[str, int]]:
        """(symbol, stress) of each phone, mark and gap between words."""
        espeak = EspeakBackend(self.about["espeak_voice"], with_stress=True, language_switch="remove-flags")
        found: list[tuple[str, int]] = []
        for part in re.split(r"([,.?!;:])", text):
            if part in MARKS:
                found.append((part, 0))
            elif re.search(r"\w", part):
                for word in espeak.phonemize([part.strip()], Separator(phone="|", word=" "), strip=True)[0].split():
                    word = re.sub("(?<![aeɔ])ɪ$", "i", word) if self.about["espeak_voice"] == "en-gb-x-rp" else word  # "happy"
                    if found and found[-1][0] not in MARKS:
                        found.append((" ", 0))
                    found += [(p.strip("ˈˌ-"), 2 * ("ˈ" in p) or "ˌ" in p) for p in filter(None, word.split("|"))]
        return found

    def encode(self, phones: list[tuple[str, int]]) -> tuple[list[int], list[int]]:
        """Ids and stresses, with silence at both ends."""
        symbols, text = self.about["symbols"], ""
        if self.about["network"] == "small":
            pairs = [(s, k) for s, k in [("_", 0), *phones, ("_", 0)] if s in symbols]
            return [symbols[s] for s, _ in pairs], [k for _, k in pairs]
        for symbol, stress in phones:  # stress stands before its phone, a gap after a mark
            gap = " " if text[-1:] in MARKS and symbol not in (" ", *MARKS) else ""
            letters = self.about["phones"].get(symbol, symbol if self.about["lengthened"] else symbol.replace("ː", ""))
            text += gap + ["", "ˌ", "ˈ"][stress] + letters
        return [0, *(symbols[c] for c in text if c in symbols), 0], []

    def samples(self, ids: list[int], stress: list[int], speed=1.0, pitch=1.0, energy=0.0) -> np.ndarray:
        """Samples `[N]` at the rate of voice.json; `pitch` is a factor of F0, `energy` nats of power."""
        def run(session, feed):
            feed = {i.name: feed[i.name] for i in session.get_inputs()}
            return dict(zip([o.name for o in session.get_outputs()], session.run(None, feed), strict=True))

        about, feed = self.about, run(self.text, {"ids": np.array([ids]), "stress": np.array([stress])})
        counts = np.clip(np.rint(feed["frames"][0] / speed), 1, about["longest"]).astype(np.int64)
        total = counts.sum()
        frames = max(1, round(total / about["rate"] * about["sample_rate"] / about["hop"]))  # of the mel
        index = np.pad(np.repeat(np.arange(len(counts)), counts), (0, -total % about["multiple"]), mode="edge")
        start, place = (np.cumsum(counts) - counts)[index], np.arange(len(index)) + 0.5
        row = {"since": np.clip(place - start, 0, counts[index]), "length": counts[index],
               "noise": np.random.default_rng(0).standard_normal(frames * about["hop"])}
        if "line" in feed:
            row["contour"] = np.interp(place, np.cumsum(counts) - counts / 2, feed["line"][0])
        row["at"] = (np.arange(frames) + 0.5) * (2 * about["hop"] / about["sample_rate"] * about["rate"]) - 0.5
        feed |= {k: v.astype(np.float32)[None] for k, v in row.items()}
        feed |= {"index": index[None], "kept": np.array([total]), "at": feed["at"][0]}
        feed |= {"pitch": np.array([pitch], np.float32), "energy": np.array([energy], np.float32)}
        return run(self.vocoder, feed | run(self.sound, feed))["samples"][0]


if __name__ == "__main__":
    voice = Voice(sys.argv[1])
    sound = voice.samples(*voice.encode(voice.phones(sys.argv[2])), *map(float, sys.argv[4:5]))
    with wave.open(sys.argv[3], "wb") as f:
        f.setparams((1, 2, voice.about["sample_rate"], 0, "NONE", ""))
        f.writeframes((np.clip(sound, -1, 1) * 32767).astype("<i2").tobytes())
