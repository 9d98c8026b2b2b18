"""Files of other packages, read without running the packages: their imports are slow, or need what their own use alone does."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

from tts_meta.errors import InputError


def package_folder(package: str) -> Path:
    """Where a package lies. Raises InputError when it is not installed."""
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise InputError(f"The package {package} is not installed; install it with: pip install {package.replace('_', '-')}.")
    return Path(spec.submodule_search_locations[0])


def silenced(module: ModuleType) -> ModuleType:
    """A module whose `print` says nothing. Turning stdout away instead would take what other threads print meanwhile."""
    module.print = lambda *_, **__: None  # type: ignore[attr-defined]
    return module


def module_at(path: Path) -> ModuleType:
    """One file of a package as a module of its own, which prints nothing."""
    spec = importlib.util.spec_from_file_location(f"{path.parent.name}_{path.stem}", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(silenced(module))
    return module
