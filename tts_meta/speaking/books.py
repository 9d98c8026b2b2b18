"""The text of an epub: its chapters in reading order, by zipfile and an HTML parser; nothing in it is run or fetched."""

from __future__ import annotations

import posixpath
import re
import zipfile
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote
from xml.etree import ElementTree

from tts_meta.errors import InputError

LARGEST = 32 * 2**20
"""Bytes that a part of the book may have when it is unpacked: a zip bomb stops here."""
_BLOCKS = {"p", "div", "h1", "h2", "h3", "h4", "h5", "h6", "li", "blockquote", "br", "tr", "section"}
_SILENT = {"script", "style", "head", "svg", "rt", "rp"}


class _Text(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.parts: list[str] = []
        self.silent = 0

    def handle_starttag(self, tag: str, attrs: list) -> None:
        self.silent += tag in _SILENT
        if tag in _BLOCKS:
            self.parts.append("\n\n")

    def handle_endtag(self, tag: str) -> None:
        self.silent = max(0, self.silent - (tag in _SILENT))
        if tag in _BLOCKS:
            self.parts.append("\n\n")

    def handle_data(self, data: str) -> None:
        if not self.silent:
            self.parts.append(re.sub(r"\s+", " ", data))


def plain_text(html: str) -> str:
    """The words of an HTML page; blocks are apart by empty lines."""
    parser = _Text()
    parser.feed(html)
    blocks = [" ".join(b.split()) for b in "".join(parser.parts).split("\n\n")]
    return "\n\n".join(b for b in blocks if b)


def _read(book: zipfile.ZipFile, name: str) -> bytes:
    with book.open(name) as f:
        data = f.read(LARGEST + 1)
    if len(data) > LARGEST:
        raise ValueError(f"{name} is larger than {LARGEST // 2**20} MB")
    return data


def _tree(data: bytes) -> ElementTree.Element:
    if b"<!ENTITY" in data or b"<!entity" in data:
        raise ValueError("it declares entities")  # which can be made to grow without end
    return ElementTree.fromstring(data)


def read_epub(path: Path) -> list[tuple[str, str]]:
    """(name, text) of every chapter with words. Raises InputError when the file is not a readable epub."""
    try:
        with zipfile.ZipFile(path) as book:
            container = _tree(_read(book, "META-INF/container.xml"))
            package = next(e.attrib["full-path"] for e in container.iter() if e.tag.endswith("}rootfile"))
            root = _tree(_read(book, package))
            files = {e.attrib["id"]: e.attrib["href"] for e in root.iter() if e.tag.endswith("}item")}
            order = [e.attrib["idref"] for e in root.iter() if e.tag.endswith("}itemref")]
            chapters = []
            for item in order[:2000]:
                name = posixpath.normpath(posixpath.join(posixpath.dirname(package), unquote(files[item].split("#")[0])))
                text = plain_text(_read(book, name).decode("utf-8", errors="replace"))
                if any(c.isalnum() for c in text):
                    chapters.append((Path(name).stem, text))
    except (OSError, zipfile.BadZipFile, ElementTree.ParseError, KeyError, StopIteration, ValueError, RuntimeError,
            NotImplementedError) as e:
        raise InputError(f"{path} could not be read as an epub book ({e}); give one without copy protection, or a txt.") from e
    if not chapters:
        raise InputError(f"The book {path} holds no text; its pages may be pictures.")
    return chapters
