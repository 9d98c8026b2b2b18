"""Tables as programs write them: csv with any of , ; tab |, quoted or not, in any encoding; json and json lines too.

A table that could be read in two ways is not guessed at: the sentence names the line and what to do.
"""

from __future__ import annotations

import csv
import io
import json
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from tts_meta.clips.recordings import SPREADSHEETS
from tts_meta.errors import InputError
from tts_meta.text.textfile import read_text

DELIMITERS = {"\t": "tabs", "|": "bars", ";": "semicolons", ",": "commas"}
_EXPECTED = "give a csv or tsv table, or json lines"


@dataclass
class Row:
    """Cells of one row, and the line of the file it begins on."""

    line: int
    cells: list[str]


@dataclass
class Table:
    """Rows of one file that all have the same number of cells. `named`: the first row are names (as in json)."""

    path: Path
    rows: list[Row]
    encoding: str = "utf-8"
    delimiter: str = ","
    named: bool = False
    notes: list[str] = field(default_factory=list)

    @property
    def width(self) -> int:
        return len(self.rows[0].cells)


def _clean(cell: str) -> str:
    """One line of text: a line break inside a cell is a space."""
    return " ".join(cell.split())


def _parse(lines: list[tuple[int, str]], delimiter: str, quoted: bool) -> list[Row]:
    """Rows of numbered lines. Raises csv.Error where the quotes do not fit together."""
    text = "\n".join(line for _, line in lines)
    reader = csv.reader(
        io.StringIO(text, newline=""), delimiter=delimiter, skipinitialspace=True, strict=True,
        quoting=csv.QUOTE_MINIMAL if quoted else csv.QUOTE_NONE,
    )
    rows, begin = [], 0
    try:
        for cells in reader:
            if any(c.strip() for c in cells):
                rows.append(Row(lines[begin][0], [_clean(c if quoted else _unquote(c)) for c in cells]))
            begin = reader.line_num
    except csv.Error as e:
        raise csv.Error(f"{lines[min(begin, len(lines) - 1)][0]}") from e
    return rows


def _unquote(cell: str) -> str:
    cell = cell.strip()
    if len(cell) > 1 and cell[0] == cell[-1] == '"' and '"' not in cell[1:-1].replace('""', ""):
        return cell[1:-1].replace('""', '"')
    return cell


def _even(rows: list[Row], least: int = 2) -> bool:
    return bool(rows) and len(rows[0].cells) >= least and len({len(r.cells) for r in rows}) == 1


def _choose(lines: list[tuple[int, str]]) -> str:
    """The delimiter that cuts the most rows into the same number of cells; tabs before bars, semicolons, commas."""
    best, score = ",", -1.0
    for delimiter in DELIMITERS:
        counts = Counter(line.count(delimiter) for _, line in lines)
        count, agreeing = max(((c, n) for c, n in counts.items() if c), key=lambda x: x[1], default=(0, 0))
        if count and agreeing / len(lines) > score + 0.25 * (score >= 0):
            best, score = delimiter, agreeing / len(lines)
    return best


def read_table(path: Path, what: str = "table", least: int = 2, columns: str = "file and text") -> Table:
    """The rows of a csv, tsv, bar-separated, json or json-lines file, lines that begin with `#` and a `sep=` line left out.
    It has at least `least` columns; `columns` are the names of those that are expected, for the sentence that refuses.

    Raises InputError for a file that is empty or no text, for quotes that do not close, and for rows of different
    lengths, with the number of the line.
    """
    if path.suffix.lower() in SPREADSHEETS:
        raise InputError(f"The {what} {path} {'are' if what.endswith('s') else 'is'} a spreadsheet; save it as .csv (UTF-8) and "
                         "give that.")
    text, encoding = read_text(path, what, _EXPECTED)
    if path.suffix.lower() in (".json", ".jsonl") or text.lstrip()[:1] in ("{", "["):  # noqa: SIM102
        if (found := _read_json(path, text, what)) is not None:
            found.encoding = encoding
            return found
    lines = list(enumerate(text.split("\n"), 1))
    delimiter = None
    if lines[0][1].strip().lower().startswith("sep=") and len(lines[0][1].strip()) == 5:
        delimiter, lines = lines[0][1].strip()[-1], lines[1:]
    lines = [(n, line) for n, line in lines if not line.lstrip().startswith("#") or line.count("#") > 3]
    while lines and not lines[-1][1].strip():
        lines.pop()
    if not any(line.strip() for _, line in lines):
        raise InputError(f"The {what} {path} {'are' if what.endswith('s') else 'is'} empty; give a table with the columns "
                         f"{columns}.")
    full = [(n, line) for n, line in lines if line.strip()]
    delimiter = delimiter or ("\t" if path.suffix.lower() == ".tsv" and any("\t" in line for _, line in full) else _choose(full))
    table = Table(path, [], encoding, delimiter)
    if encoding != "utf-8":
        table.notes.append(f"{path.name} is read as {encoding.replace('_', '-')} text.")
    broken: str | None = None
    # Bars and tabs are written without quotes by most, so a quote there is a quote.
    for quoted in ((False, True) if delimiter in "\t|" else (True, False)):
        try:
            rows = _parse(lines, delimiter, quoted)
        except csv.Error as e:
            broken = broken or str(e)
            continue
        table.rows = table.rows or rows
        if _even(rows, least):
            table.rows = rows
            if broken and not quoted:
                table.notes.append(f"Line {broken} of {path.name} has a quote that is not closed; quotes are read as they stand.")
            return table
    if broken and not _even(table.rows, least):
        raise InputError(
            f"Line {broken} of the {what} {path} has a quote that is not closed or not doubled; write a quote in a quoted cell "
            'as "".'
        )
    _uneven(table, what)
    return table


def _uneven(table: Table, what: str) -> None:
    """Raises InputError with the first line that has another number of cells than most."""
    if len(table.rows) == 1 or len(table.rows[0].cells) < 2 and len({len(r.cells) for r in table.rows}) == 1:
        if len(table.rows[0].cells) < 2:
            raise InputError(
                f"The {what} {table.path} {'have' if what.endswith('s') else 'has'} one column; the columns file and text are "
                "expected, apart by commas, semicolons, tabs or bars."
            )
        return
    usual = len(table.rows[0].cells)
    if sum(len(r.cells) == usual for r in table.rows) < len(table.rows) / 2:
        usual = Counter(len(r.cells) for r in table.rows).most_common(1)[0][0]
    odd = next(r for r in table.rows if len(r.cells) != usual)
    mark = DELIMITERS.get(table.delimiter, repr(table.delimiter))
    fix = f'put a text that holds {mark} in quotes ("...")' if len(odd.cells) > usual else "add what is missing"
    raise InputError(f"Line {odd.line} of the {what} {table.path} has {len(odd.cells)} cells where the others "
                     f"have {usual}; {fix}.")


def _read_json(path: Path, text: str, what: str) -> Table | None:
    """Objects as rows, their keys as names; None when it is no JSON and not called so."""
    objects: list[tuple[int, dict]] = []
    try:
        whole = json.loads(text)
        if isinstance(whole, dict) and path.suffix.lower() == ".jsonl":
            whole = [whole]  # a file of one line
        if isinstance(whole, dict):
            whole = [{"file": k, "text": v} if isinstance(v, str) else {"file": k, **v} for k, v in whole.items()
                     if isinstance(v, str | dict)]
        objects = [(i, o) for i, o in enumerate(whole, 1) if isinstance(o, dict)] if isinstance(whole, list) else []
    except (ValueError, RecursionError):
        for number, line in enumerate(text.split("\n"), 1):
            if not line.strip():
                continue
            try:
                row = json.loads(line)
            except (ValueError, RecursionError) as e:
                if path.suffix.lower() not in (".json", ".jsonl"):
                    return None
                raise InputError(f"Line {number} of the {what} {path} is no JSON ({e}); one object a line is expected.") from e
            if isinstance(row, dict):
                objects.append((number, row))
    if not objects:
        raise InputError(f"The {what} {path} holds no objects with a file and a text; {_EXPECTED}.")
    names = list(dict.fromkeys(k for _, o in objects for k in o))
    rows = [Row(n, [_clean(str(o.get(k) if o.get(k) is not None else "")) for k in names]) for n, o in objects]
    return Table(path, [Row(0, names), *rows], named=True)
