"""What the checks of KPIs and of exports share: the functions' files, and tables for people."""

import sys
import unicodedata
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import build
import deploy
import environment

sys.path.insert(0, str(build.FUNCTIONS))
from common.queries import InvalidQuery


def broken(names: Iterable[str], load: Callable[[str], object]) -> dict[str, str]:
    """Return what is wrong with the files of this tree, by name: it needs no database."""
    wrong = {}
    for name in names:
        try:
            load(name)
        except InvalidQuery as error:
            wrong[name] = str(error)
    return wrong


def shell(env: str, *functions: str) -> dict[str, str]:
    """Return the environment; the laptop's functions then have the files of this tree."""
    environment.functions(env, " ".join(functions))
    found = environment.shell(env)
    if env == "local":
        for function in functions:
            deploy.deploy(function, found)
    return found


def report(head: str, notes: Iterable[str], checked: Mapping[str, Any], declared: str) -> str:
    """Return what a function's check of a query found as text for people.

    Below the `head` are the notes, the columns (with what is `declared`), the first rows, and what
    is wrong.
    """
    columns = [[one["name"], one["declared"], one["came"]] for one in checked.get("columns", [])]
    lines = [head, *(f"  {note}" for note in notes)]
    if columns:
        lines += ["", *table([["column", declared, "came"], *columns])]
    if checked.get("first"):
        names = [one["name"] for one in checked["columns"] if one["came"]]
        lines += ["", *table([names, *checked["first"]])]
    lines += ["", *(f"  WRONG: {error}" for error in checked["errors"])]
    return "\n".join(lines) + ("\n" if checked["errors"] else "")


def another_file(checked: Mapping[str, Any], here: str, env: str, function: str) -> list[str]:
    """Return the note that a function has another file than this tree, whose `source` is `here`."""
    if checked.get("source", here) == here:
        return []
    return [f"another file than here: make deploy ENV={env} FUNCTION={function}"]


def table(rows: Iterable[Sequence[str | None]], right: Sequence[int] = ()) -> list[str]:
    """Return rows as lines with columns below each other, whatever the script; `-` for None.

    `right` are the columns that end at the same place, by number.
    """
    cells = [["-" if one is None else _visible(one) for one in row] for row in rows]
    widths = [max(map(_width, column)) for column in zip(*cells, strict=True)]
    return [
        "  "
        + "  ".join(
            _pad(cell, width, right=number in right)
            for number, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in cells
    ]


def _pad(cell: str, width: int, *, right: bool) -> str:
    room = " " * (width - _width(cell))
    return room + cell if right else cell + room


def _visible(text: str) -> str:
    return "".join(one if one.isprintable() else ascii(one)[1:-1] for one in text)


def _width(text: str) -> int:
    # A terminal gives two places to what is wide, and none to what goes onto the letter before.
    return sum(
        0 if unicodedata.combining(one) else 1 + (unicodedata.east_asian_width(one) in "WF")
        for one in text
    )
