"""SQL files with a header: a leading comment that holds TOML."""

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

from common.events import InvalidEvent, parse

HeaderT = TypeVar("HeaderT")


# Text, names and comments: found in one go, for each may hold what looks like another's beginning.
_NO_CODE = re.compile(
    r"'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\"|`[^`]*`|/\*.*?\*/|(?:--(?=\s)|#)[^\n]*", re.DOTALL
)


class InvalidQuery(ValueError):
    """A query file is not as it must be; the message names the field and the line."""


@dataclass(frozen=True)
class Query(Generic[HeaderT]):
    """One SQL file: its name without `.sql`, what its header declares, and the statement.

    `line` is where the statement begins in the file.
    """

    name: str
    header: HeaderT
    sql: str
    line: int = 1


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
    begin = len(text) - len(found[3].lstrip())
    query = Query(name, header, found[3].strip().rstrip(";"), text.count("\n", 0, begin) + 1)
    if another := re.search(r";\s*(?=[^\s;])", code(query.sql)):
        line = query.line + query.sql.count("\n", 0, another.end())
        raise InvalidQuery(f"takes one statement: another begins after ; (line {line})")
    return query


def code(sql: str) -> str:
    """Return a statement with blanks in place of text, names and comments: as long, same lines."""
    return _NO_CODE.sub(lambda found: re.sub(r"[^\n]", " ", found[0]), sql)


def check_marks(query: Query[Any], bound: Mapping[str, str]) -> None:
    """Raise InvalidQuery for a % in a statement that is neither %(name)s nor %%.

    `bound` are the parameters that it may name: each name → type, as people know it.
    """
    for mark in re.finditer(r"%(?:%|\((\w*)\)s)?", query.sql):
        if mark[0] != "%%" and mark[1] not in bound:
            known = ", ".join(f"%({name})s ({kind})" for name, kind in bound.items())
            line = query.line + query.sql.count("\n", 0, mark.start())
            got = query.sql[mark.start() :].splitlines()[0][:20]
            takes = f"{known}, and %% for a plain %" if known else "no parameter: declare it"
            raise InvalidQuery(f"got {got!r}, takes {takes} (line {line})")


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
