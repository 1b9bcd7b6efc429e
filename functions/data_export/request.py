"""What an application asks for, and what a query in queries/ takes and gives."""

import json
import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any, Literal

from common import queries
from common.events import InvalidEvent, invalid, parse, require
from common.logs import encodable
from common.queries import InvalidQuery

FOLDER = Path(__file__).with_name("queries")
LARGEST = 100_000  # bytes of a request: DynamoDB keeps 400 kB, with the reason of a failure
LONGEST = 780  # seconds: the function's 900 without the two minutes in which it hands over

ID = re.compile(r"[A-Za-z0-9_-]{1,64}")

Type = Literal["text", "integer", "decimal", "date", "datetime", "boolean"]


@dataclass(frozen=True)
class Request:
    """A job, as an application puts it into the queue.

    `bom` is the mark by which Excel knows UTF-8: there in Japanese, unless said otherwise.
    """

    job_id: str
    query: str
    mail_to: str
    parameters: dict[str, Any] = field(default_factory=dict)
    language: Literal["ja", "en"] = "ja"
    gzip: bool = False
    bom: bool | None = None

    def __post_init__(self) -> None:
        """Check what is needed to keep it, and to answer at all. Raises InvalidEvent."""
        require(
            ID.fullmatch(self.job_id),
            "job_id",
            self.job_id,
            "1 to 64 characters A-Z a-z 0-9 _ -",
        )
        require(
            # SES takes nothing but ASCII before the @.
            re.fullmatch(
                r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+",
                self.mail_to,
            ),
            "mail_to",
            self.mail_to,
            "one address, such as person@example.com",
        )
        try:
            size = len(json.dumps(vars(self), ensure_ascii=False).encode())
        except UnicodeEncodeError as error:
            raise InvalidEvent(f"the request is no UTF-8: {error}") from None
        require(size <= LARGEST, "the request", f"{size} bytes", f"at most {LARGEST}")

    def as_item(self) -> dict[str, Any]:
        """Return it as DynamoDB keeps it: the parameters as JSON, for it has no floats."""
        return {**vars(self), "parameters": json.dumps(self.parameters, ensure_ascii=False)}

    @classmethod
    def of_item(cls, item: Mapping[str, Any]) -> "Request":
        """Take it from `as_item`."""
        return cls(**{**item, "parameters": json.loads(item["parameters"])})


@dataclass(frozen=True)
class Continue:
    """The word of a run to the next one: go on with this job."""

    job_id: str


@dataclass(frozen=True)
class Header:
    """What the header of a query declares.

    `title` is what a mail calls it, by language. `columns` gives the result's columns, in order,
    their titles in the file; without it they have their names. `key` is a column that an index
    leads by, and that is never NULL: with it a large result is fast, and may take longer than one
    run. `timeout` is in seconds, for each statement; `turn` is how long one run reads before other
    jobs have their turn. TIMESTAMPs are shown in `time_zone`.
    """

    parameters: dict[str, Type] = field(default_factory=dict)
    columns: dict[str, str] = field(default_factory=dict)
    key: str | None = None
    title: dict[Literal["ja", "en"], str] = field(default_factory=dict)
    timeout: int = 300
    turn: int = LONGEST
    time_zone: str = "+09:00"

    def __post_init__(self) -> None:
        """Check the numbers. Raises InvalidEvent naming the field."""
        require(0 < self.timeout <= LONGEST, "timeout", self.timeout, f"1 to {LONGEST} seconds")
        require(0 < self.turn <= LONGEST, "turn", self.turn, f"1 to {LONGEST} seconds")
        require(
            re.fullmatch(r"[+-]\d\d:\d\d", self.time_zone),
            "time_zone",
            self.time_zone,
            "an offset such as +09:00",
        )


Query = queries.Query[Header]


def parse_message(body: object) -> Request | Continue:
    """Take a message of the queue, or a payload: a request, or `{"continue": job_id}`.

    Raises InvalidEvent naming the field.
    """
    if isinstance(body, Mapping) and set(body) == {"continue"}:
        job_id = body["continue"]
        require(isinstance(job_id, str) and ID.fullmatch(job_id), "continue", job_id, "a job's id")
        return Continue(job_id)
    return parse(Request, body)


def anonymous(text: str) -> str:
    """Return what an error says without the mail addresses in it: logs hold none."""
    return "".join("…" if "@" in word else word for word in re.split(r"(\s+)", text))


def names(folder: Path = FOLDER) -> list[str]:
    """Return the names of all queries, sorted."""
    return queries.names(folder)


def load(name: str, folder: Path = FOLDER) -> Query:
    """Read one query that is there. Raises InvalidQuery."""
    query = queries.load(folder, name, Header)
    declared = query.header.parameters
    # Where it takes none nothing is bound, and a % is a %.
    if declared or re.search(r"%\(\w+\)s", query.sql):
        queries.check_marks(query, declared)
    return query


def title(asked: Request) -> str:
    """Return what a query's header calls it; its name where that says nothing, or is not there."""
    with suppress(InvalidQuery):
        if asked.query in names():
            return load(asked.query).header.title.get(asked.language, asked.query)
    return asked.query


def values(declared: Mapping[str, Type], given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the parameters as the driver takes them.

    Dates are text in ISO 8601, as are datetimes, without a zone. Raises InvalidEvent that lists
    what the query takes, and each parameter that is wrong.
    """
    taken, wrong = {}, []
    for name, kind in declared.items():
        try:
            taken[name] = _value(name, kind, given[name])
        except KeyError:
            wrong.append(f"{name}: missing")
        except InvalidEvent as error:
            wrong.append(str(error))
    if unknown := ", ".join(sorted(given.keys() - declared.keys())):
        wrong.append(f"unknown: {encodable(unknown):.100}")
    if wrong:
        takes = ", ".join(f"{name} ({kind})" for name, kind in declared.items())
        raise InvalidEvent(f"parameters: expected {takes or 'none'}; {'; '.join(wrong)}")
    return taken


def _value(name: str, kind: Type, given: Any) -> Any:
    takes, of_type, convert = _TYPES[kind]
    require(type(given) in of_type, name, given, takes)
    try:
        return convert(given)
    except (ValueError, InvalidOperation):
        raise invalid(name, given, takes) from None


def _moment(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    if moment.tzinfo:
        raise ValueError
    return moment


def _decimal(given: object) -> Decimal:
    number = Decimal(str(given))
    if not number.is_finite():
        raise InvalidOperation
    return number


_TYPES: dict[Type, tuple[str, tuple[type, ...], Callable[[Any], Any]]] = {
    "text": ("text", (str,), str),
    "integer": ("a whole number", (int,), int),
    "decimal": ("a number, or text that is one", (int, float, str), _decimal),
    "date": ("a date such as 2026-11-23", (str,), date.fromisoformat),
    "datetime": ("a time without a zone, such as 2026-11-23T09:00:00", (str,), _moment),
    "boolean": ("true or false", (bool,), bool),
}
