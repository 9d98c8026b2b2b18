"""What the verbs share: human text to stderr, results to stdout, the starter on as many threads as pay."""

from __future__ import annotations

import json
from importlib import import_module
from importlib.util import find_spec
from types import ModuleType
from typing import Annotated

import typer

Json = Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout.")]
Vocoder = Annotated[str | None, typer.Option(help="hifigan (the best sound) or fast (a seventh of its time or less).")]
Force = Annotated[bool, typer.Option("--force", help="Replace what exists.")]


def say(message: str) -> None:
    """A line for people, on stderr."""
    typer.echo(message, err=True)


def emit(result: dict, as_json: bool, text: str) -> None:
    """The result of a verb, on stdout: as JSON, or as a text for people."""
    typer.echo(json.dumps(result) if as_json else text)


def edge(name: str) -> ModuleType:
    """A module of the page and the API: `tts_meta.app` where the package is installed, the folder `app` in a checkout."""
    inside = f"{__package__.partition('.')[0]}.app"
    return import_module(f"{inside if find_spec(inside) else 'app'}.{name}")


def starter():
    """The package's starter."""
    from tts_meta.processor import use_threads
    from tts_meta.starters.chosen_starter import default_starter

    use_threads()
    return default_starter()
