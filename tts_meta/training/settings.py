"""What a run's result depends on, kept beside its checkpoint: a run is continued under the settings it began with, or not
at all.

Settings are plain JSON: configuration values, the names of the parts a configuration chose, and digests of the files
that were read. What only says where things lie, how often they are saved or how tasks are shared out is left out.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import Field, fields, is_dataclass
from functools import partial
from pathlib import Path
from typing import Any

from tts_meta.errors import InputError

SHOWN = 6  # differences that the sentence names


def describe(value: Any) -> Any:
    """Plain JSON of a configuration value. A part (dataclass, partial, function, bound class method) is its name and its
    options. Raises TypeError for anything else, whose settings could not be compared."""
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, partial):
        options = {k: describe(v) for k, v in value.keywords.items()}
        return {"part": _name(value.func), **({"given": describe(value.args)} if value.args else {}), **options}
    if is_dataclass(value) and not isinstance(value, type):
        return {"part": _name(type(value)), **{f.name: describe(getattr(value, f.name)) for f in fields(value) if _is_setting(f)}}
    if isinstance(value, Mapping):
        return {str(k): describe(v) for k, v in value.items()}
    if isinstance(value, Sequence):
        return [describe(v) for v in value]
    if isinstance(value, Callable):  # type: ignore[arg-type]
        return _name(value)
    raise TypeError(f"The setting {value!r} is neither plain data nor a part by name.")


def _is_setting(f: Field) -> bool:
    """Whether a part's field is an option of it: not what it makes itself, nor state that is handed to it (metadata)."""
    return f.init and f.metadata.get("setting", True)


def _name(part: Any) -> str:
    return f"{part.__module__}.{part.__qualname__}"


def settings_of(cfg: Any, ignore: Sequence[str], **more: Any) -> dict[str, Any]:
    """{dotted key: value} of a configuration's fields but those in `ignore` (a field, or `field.key`), and of `more`."""
    found = _flat({**{f.name: describe(getattr(cfg, f.name)) for f in fields(cfg)}, **{k: describe(v) for k, v in more.items()}})
    left = {k: v for k, v in found.items() if not any(k == i or k.startswith(i + ".") for i in ignore)}
    return json.loads(json.dumps(left))


def _flat(tree: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    out: dict[str, Any] = {}
    for k, v in tree.items():
        out |= _flat(v, f"{prefix}{k}.") if isinstance(v, Mapping) and v else {f"{prefix}{k}": v}
    return out


def digest(settings: Mapping[str, Any]) -> str:
    """SHA-256 of settings, the same for equal ones."""
    return hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()


def file_digest(path: str | Path) -> str:
    """SHA-256 of a file that a run reads; "missing" where there is none."""
    return hashlib.sha256(Path(path).read_bytes()).hexdigest() if Path(path).is_file() else "missing"


def check_same(folder: str | Path, saved: Mapping[str, Any] | None, now: Mapping[str, Any]) -> None:
    """Nothing when a run's settings are those it began with. Raises InputError that names what changed otherwise."""
    way = "Give the settings it was made with, choose another run folder, or add resume=false to begin it anew."
    if saved is None:
        raise InputError(f"{folder} holds a run that does not say what it was made with, so it cannot be continued. {way}")
    if digest(saved) == digest(now):
        return
    absent = "nothing"
    keys = [k for k in dict.fromkeys([*saved, *now]) if saved.get(k, absent) != now.get(k, absent)]
    told = [f"{k} was {_short(saved.get(k, absent))} and is {_short(now.get(k, absent))}" for k in keys[:SHOWN]]
    more = f", and {len(keys) - SHOWN} more" if len(keys) > SHOWN else ""
    raise InputError(f"{folder} holds a run with other settings: {'; '.join(told)}{more}. {way}")


def _short(value: Any) -> str:
    text = str(value)
    return text if len(text) <= 60 else text[:24] + "..."
