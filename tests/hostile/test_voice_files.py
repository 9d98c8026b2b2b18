"""Two hundred and more mutated and hostile voice files: each is refused with a sentence or is a harmless voice that speaks."""

from __future__ import annotations

import copy
import io
import json
import pickle
import struct
import zipfile

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save

from tests.conftest import ROOT
from tts_meta.errors import InputError
from tts_meta.speaking.synthesize import Synthesizer
from tts_meta.voices.library import import_voice, rename_voice
from tts_meta.voices.voice_file import load_voice
from tts_meta.voices.voice_header import read_header
from tts_meta.voices.voice_schema import KEYS, describe


@pytest.fixture(scope="module")
def parts(cloned):
    """(bytes, tensors, header) of a good voice."""
    return cloned.path.read_bytes(), load_file(str(cloned.path)), read_header(cloned.path)


def outcome(path, blob, starter) -> str:
    """refused (with a sentence) or harmless (it speaks, with finite samples)."""
    path.write_bytes(blob)
    try:
        voice = load_voice(path, starter)
    except InputError as e:
        assert str(path) in str(e) and len(str(e)) < 1000 and "\n" not in str(e)
        return "refused"
    spoken = Synthesizer.of(starter, voice).sentence_mel("Hi.")[0]
    assert np.isfinite(spoken).all() and len(spoken) < 2000
    return "harmless"


def with_header(tensors, header) -> bytes:
    return save(tensors, metadata={"voice": header if isinstance(header, str) else json.dumps(header)})


def test_random_damage(tmp_path, starter, parts):
    """Flipped, cut, doubled and shuffled bytes, most of them in the header, where they do most."""
    blob = parts[0]
    size = 8 + struct.unpack("<Q", blob[:8])[0]
    rng = np.random.default_rng(0)
    found = []
    for number in range(160):
        data = bytearray(blob)
        kind = number % 5
        at = int(rng.integers(size if number % 4 else len(blob)))
        if kind == 0:
            data[at] ^= 1 << int(rng.integers(8))
        elif kind == 1:
            for i in rng.integers(size, size=20):
                data[i] = int(rng.integers(256))
        elif kind == 2:
            data = data[: int(rng.integers(len(blob)))]
        elif kind == 3:
            data[at:at] = bytes(rng.integers(256, size=int(rng.integers(1, 50)), dtype=np.uint8))
        else:
            end = at + int(rng.integers(1, 100))
            data[at:end] = data[at:end][::-1]
        found.append(outcome(tmp_path / "d.voice", bytes(data), starter))
    assert found.count("refused") > 100


WRONG = [
    None,
    True,
    -1,
    1.5,
    1e308,
    float("nan"),
    float("inf"),
    "",
    "x" * 100_000,
    [],
    [[]],
    [None],
    {},
    {"a": {}},
    "../../etc/passwd",
    "0" * 64,
    [1e9] * 40,
    ["a"] * 40,
    [[1, "a"]],
    10**30,
]


@pytest.mark.parametrize("key", [k.name for k in KEYS])
def test_every_key_refuses_what_it_is_not(tmp_path, starter, parts, key):
    """20 wrong values for each of the keys (a few are right for some): never anything but a sentence."""
    _, tensors, header = parts
    spec = next(k for k in KEYS if k.name == key)
    refused = 0
    for value in WRONG:
        blob = with_header(tensors, {**header, key: value})
        if spec.fits(value):
            continue
        path = tmp_path / "w.voice"
        path.write_bytes(blob)
        with pytest.raises(InputError) as e:
            load_voice(path, starter)
        assert key in str(e.value) or key in ("format", "starter", "modules") and str(path) in str(e.value)
        refused += 1
    assert refused >= 10
    missing = {k: v for k, v in header.items() if k != key}
    if spec.needed:
        assert outcome(tmp_path / "m.voice", with_header(tensors, missing), starter) == "refused"


def test_made_to_harm(tmp_path, starter, parts):
    """Archives, pickles, lying sizes, other shapes and types, numbers out of range, modules that are not there."""
    blob, tensors, header = parts
    weight = next(k for k in tensors if tensors[k].dtype == torch.int8)
    vector = next(k for k in tensors if tensors[k].dtype == torch.float16)

    class Evil:
        def __reduce__(self):
            return (print, ("code ran",))

    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as z:
        z.writestr("data.pkl", b"\0" * 10**7)
    torch_file = io.BytesIO()
    torch.save({"a": torch.zeros(3)}, torch_file)

    def changed(**kwargs):
        return with_header({**tensors, **kwargs}, header)

    def raw(meta: dict, payload: bytes = b"") -> bytes:
        head = json.dumps(meta).encode()
        return struct.pack("<Q", len(head)) + head + payload

    voice = {"voice": json.dumps(header)}
    cases = {
        "empty": b"",
        "eight": b"\0" * 8,
        "pickle": pickle.dumps(Evil()),
        "zip": packed.getvalue(),
        "torch": torch_file.getvalue(),
        "elf": b"\x7fELF" + blob[4:],
        "huge length": b"\xff" * 8 + blob[8:],
        "length over the file": struct.pack("<Q", 10**6) + b"{}",
        "deep json": struct.pack("<Q", 200_000) + b"[" * 200_000,
        "no tensors": raw({"__metadata__": voice}),
        "tensor out of the file": raw(
            {"__metadata__": voice, weight: {"dtype": "I8", "shape": [2**40], "data_offsets": [0, 2**40]}}
        ),
        "negative offsets": raw({"__metadata__": voice, weight: {"dtype": "I8", "shape": [1], "data_offsets": [-1, 0]}}, b"0"),
        "overlap": raw(
            {
                "__metadata__": voice,
                "a": {"dtype": "I8", "shape": [4], "data_offsets": [0, 4]},
                "b": {"dtype": "I8", "shape": [4], "data_offsets": [2, 6]},
            },
            b"000000",
        ),
        "other type": changed(**{vector: tensors[vector].float()}),
        "int64": changed(**{weight: tensors[weight].long()}),
        "other shape": changed(**{weight: tensors[weight][:1].contiguous()}),
        "scalar": changed(**{vector: torch.zeros(()).half()}),
        "nan": changed(**{vector: tensors[vector] * float("nan")}),
        "inf": changed(**{vector: torch.full_like(tensors[vector], float("inf"))}),
        "large": changed(**{vector: torch.full_like(tensors[vector], 60000.0)}),
        "large scale": changed(**{weight + "#scale": tensors[weight + "#scale"] * 1e30}),
        "nan scale": changed(**{weight + "#scale": tensors[weight + "#scale"] * float("nan")}),
        "extra": changed(evil=torch.zeros(3).half()),
        "path": changed(**{"../../x": torch.zeros(3).half()}),
        "lonely scale": changed(**{"decoder.none#scale": torch.zeros(3)}),
        "missing": with_header({k: v for k, v in tensors.items() if k != vector}, header),
        "other starter": with_header(tensors, {**header, "starter": "1" * 64}),
        "unknown module": with_header(tensors, {**header, "modules": [*header["modules"], "decoder.secret"]}),
        "fewer modules": with_header(tensors, {**header, "modules": header["modules"][:-1]}),
        "header a list": with_header(tensors, "[]"),
        "header a number": with_header(tensors, "3"),
        "header no json": with_header(tensors, "{"),
        "older format": with_header(tensors, {**header, "format": 3}),
    }
    for name, data in cases.items():
        assert outcome(tmp_path / f"{name.replace(' ', '-')}.voice", data, starter) == "refused", name
    with open(tmp_path / "sparse.voice", "wb") as f:
        f.truncate(2**34)  # 16 GB on paper
    with pytest.raises(InputError, match="not a voice file"):
        load_voice(tmp_path / "sparse.voice", starter)


def test_names_stay_in_the_library(tmp_path, starter, parts, library):
    _, tensors, header = parts
    for name in ("../up", "a/b", "..", "", " ", "a\0b", "C:\\x", "x" * 65, ".hidden", "name\n"):
        path = tmp_path / "n.voice"
        path.write_bytes(with_header(tensors, {**header, "name": name}))
        with pytest.raises(InputError, match="name"):
            import_voice(path, starter)
    assert not list(tmp_path.parent.glob("up.voice")) and (not library.exists() or not list(library.iterdir()))
    (tmp_path / "g.voice").write_bytes(with_header(tensors, header))
    import_voice(tmp_path / "g.voice", starter)
    with pytest.raises(InputError, match="cannot be used"):
        rename_voice(header["name"], "../up")


def test_the_published_schema_is_the_checked_one(parts):
    page = (ROOT / "docs" / "voice-file.md").read_text()
    assert describe() in page
    written = copy.deepcopy(parts[2])
    assert set(written) <= {k.name for k in KEYS}
