"""Whether a query is sound, before anybody asks for it: it is begun on the database, and shown."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pymysql

from common import checks, csv_blocks
from common.csv_blocks import Source, Unfit
from common.csv_form import Form
from common.events import InvalidEvent, require
from common.queries import InvalidQuery
from data_export import request
from data_export.export import LAST, Refused, bound, snapshot, titles_of
from data_export.request import Query, Type

# As an export has it, but for what NULL is: here it is told from ''.
FORM = Form(null="\\N")


@dataclass(frozen=True)
class Check:
    """The payload that has queries tried: those named, or all.

    `parameters` are those of a single query; without them each is tried with samples.
    """

    check: bool
    queries: list[str] | None = None
    parameters: dict[str, Any] | None = None

    def __post_init__(self) -> None:
        """Check. Raises InvalidEvent naming the field."""
        require(self.check, "check", self.check, "true")
        known = request.names()
        for name in self.queries or []:
            require(name in known, "queries", name, " or ".join(known))
        require(self.queries != [], "queries", self.queries, "one name at least")
        require(
            self.parameters is None or len(self.queries or []) == 1,
            "parameters",
            self.parameters,
            "nothing, unless queries is one name",
        )


def check(asked: Check, left: Callable[[], float]) -> list[dict[str, Any]]:
    r"""Begin each query as an export does, and tell what people want to see; nothing is written.

    `left` tells the seconds that this run has. Each has the `query`, `source` (SHA-256 of its
    file), `title` by language, `parameters` (name → type), the `values` that it was tried with,
    `columns` (each with its name, the title that is `declared` and what `came`), the `way` in which
    it is read and `why` not by keys, the `first` rows (NULL as \N), and `errors`.
    """
    return [_one(name, asked.parameters, left) for name in asked.queries or request.names()]


def _one(name: str, given: Mapping[str, Any] | None, left: Callable[[], float]) -> dict[str, Any]:
    told: dict[str, Any] = {"query": name, "source": checks.source(request.FOLDER, name)}
    told |= {"columns": [], "first": [], "errors": []}
    try:
        query = request.load(name)
        declared = query.header.parameters
        values = samples(declared, datetime.now(UTC)) if given is None else given
        told |= {"title": query.header.title, "parameters": declared, "values": values}
        bound_to = request.values(declared, values)
        try:
            _read(query, bound_to, told, left)
        except Unfit as error:
            _read(query, bound_to, told, left, plain=str(error))
    except (InvalidQuery, InvalidEvent, Refused, pymysql.MySQLError) as error:
        told["errors"].append(str(error))
    return told


def samples(declared: Mapping[str, Type], now: datetime) -> dict[str, Any]:
    """Return a value for each parameter, as a job gives them: today, 1, true, an empty text."""
    of_type: dict[Type, Any] = {
        "text": "",
        "integer": 1,
        "decimal": "1",
        "date": f"{now:%Y-%m-%d}",
        "datetime": f"{now:%Y-%m-%dT00:00:00}",
        "boolean": True,
    }
    return {name: of_type[kind] for name, kind in declared.items()}


def _read(
    query: Query,
    values: dict[str, Any],
    told: dict[str, Any],
    left: Callable[[], float],
    plain: str = "",
) -> None:
    header = query.header
    seconds = min(header.timeout, int(left()) - LAST)
    if seconds <= 0:
        raise Refused("too_long", "no time was left to try it")
    with snapshot(seconds, header.time_zone) as connection:
        sql = bound(connection, query, values)
        reading = csv_blocks.read(connection, Source(sql, header.key), FORM, plain=bool(plain))
        declared = header.columns or {one.name: one.name for one in reading.columns}
        told["columns"] = checks.columns(declared, reading.columns)
        told |= {"way": reading.way, "why": plain or reading.why}
        titles_of(query, reading)
        block = next(reading.blocks, None)
        told["first"] = checks.first(block) if block else []
