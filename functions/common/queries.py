"""SQL files with a header: a leading comment that holds TOML."""

import re
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

from common.events import InvalidEvent, parse

HeaderT = TypeVar("HeaderT")


class InvalidQuery(ValueError):
    """A query file is not as it must be; the message names the field and the line."""


@dataclass(frozen=True)
class Query(Generic[HeaderT]):
    """One SQL file: its name without `.sql`, what its header declares, and the statement."""

    name: str
    header: HeaderT
    sql: str


def names(folder: Path) -> list[str]:
    """Return the names of all queries of a folder, sorted."""
    return sorted(path.stem for path in folder.glob("*.sql"))


def load(folder: Path, name: str, shape: type[HeaderT]) -> Query[HeaderT]:
    """Read one query, its header as the dataclass `shape`.

    Raises InvalidQuery that says what is wrong with the header.
    """
    try:
        text = (folder / f"{name}.sql").read_text(encoding="utf-8-sig")  # a mark is no trouble
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        raise InvalidQuery(f"takes UTF-8 (line {line})") from None
    found = re.fullmatch(r"(\s*/\*)(.*?)\*/(.*)", text, re.DOTALL)
    if not found or not found[3].strip():
        raise InvalidQuery("takes a header /* … */ with TOML, and one statement after it")
    # Blanks for what is before it: lines and columns are then those of the file.
    toml = re.sub(r"[^\n]", " ", found[1]) + found[2]
    try:
        header = parse(shape, tomllib.loads(toml))
    except tomllib.TOMLDecodeError as error:
        raise InvalidQuery(f"header: {error}") from None
    except InvalidEvent as error:
        raise InvalidQuery(f"header: {error} (line {_line(toml, str(error))})") from None
    return Query(name, header, found[3].strip().rstrip(";"))


def _line(toml: str, error: str) -> int:
    """Return the line of the field that an error is about, or of the table that should have it."""
    lines: dict[str, int] = {}
    table = ""
    for number, text in enumerate(toml.splitlines(), 1):
        if heading := re.match(r"\s*\[\s*([\w.-]+)\s*\]", text):
            table = f"{heading[1]}."
            lines.setdefault(heading[1], number)
        elif key := re.match(r"\s*([\w.-]+)\s*=", text):
            lines.setdefault(table + key[1], number)
    field = re.sub(r"^unknown field: ", "", error)
    field = re.split(r"[:,\s]", field, maxsplit=1)[0]
    while field and field not in lines:
        field = field.rpartition(".")[0]
    return lines.get(field) or next(n for n, text in enumerate(toml.split("\n"), 1) if text)
