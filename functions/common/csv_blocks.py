"""A query's result as blocks of CSV lines, as fast as the server makes them.

Three ways, the first that fits:
- `keys`: the query names a key column that an index leads by. The server joins the lines of one
  range of keys after another into large values. What was read is flat on both sides, and another
  connection can go on from any block's end.
- `lines`: the server makes the lines, and sends each as a row.
- `plain`: the server sends the columns, and Python's csv module makes the lines: for a query with
  an ORDER BY of its own, or whose values hang on the order in which rows are read, and whatever
  cannot stand as a derived table.
A block has a line for each of its rows: what the server joined is counted, and Unfit raised.
"""

import logging
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal

import pymysql
from pymysql.connections import Connection
from pymysql.constants import FIELD_TYPE
from pymysql.converters import conversions
from pymysql.cursors import Cursor, SSCursor

from common import csv_form, mysql, queries
from common.csv_form import END, Column, Form

log = logging.getLogger(__name__)

# The size of a value that the server is asked to join, and the most that it may have. Larger ones
# are no faster.
BLOCK = 1_000_000
_MOST = 16 << 20
# The most that the rows of a single key may have: they are kept until all of them are there.
_MOST_OF_A_KEY = 64 << 20
_FIRST_ROWS = 1000
_ROWS_A_FETCH = 2000
# Rows of a table that may be read anew for each range of keys.
_SMALL_TABLE = 10_000
# Cut by GROUP_CONCAT; too large for a packet, and NULL instead.
# https://mariadb.com/kb/en/mariadb-error-code-reference/
_CUT = {1260, 1301}
_FLOATS = {FIELD_TYPE.FLOAT, FIELD_TYPE.DOUBLE}
# Stands between the lines of a joined value, so that they can be counted: no text in UTF-8 has this
# byte, and all else is ASCII.
_MARK = b"\xff"
_ORDER = re.compile(r"\bORDER\s+BY\b", re.IGNORECASE)
_OVER_NO_ORDER = "it has a window function with no ORDER BY between its own brackets"
# The server's own text, whatever the type.
_TEXT = {key: value for key, value in conversions.items() if not isinstance(key, int)}

Way = Literal["keys", "lines", "plain"]


class Unfit(Exception):
    """The fast way met what it cannot serve: the whole is to be read again, the plain way."""


@dataclass(frozen=True)
class Block:
    """Whole lines. `position` is the last key in them as an SQL literal, with the way `keys`."""

    data: bytes
    rows: int
    position: str | None = None


@dataclass(frozen=True)
class Source:
    """A statement, its parameters bound, and the name of its key column, where it has one."""

    sql: str
    key: str | None = None

    @property
    def table(self) -> str:
        """The statement as a table `q`."""
        return f"({self.sql}\n) q"


@dataclass(frozen=True)
class Reading:
    """What a query gives. `why` says why it is not read by keys; blocks can be had once."""

    columns: Sequence[Column]
    way: Way
    why: str
    blocks: Iterator[Block]


@contextmanager
def snapshot(settings: mysql.Settings, *, seconds: int, time_zone: str) -> Iterator[Connection]:
    """Give a connection that sees the data of one moment, and may only read.

    A statement may take so many `seconds`; TIMESTAMPs are shown in the `time_zone`, e.g. `+09:00`.
    Raises pymysql.MySQLError.
    """
    connection = mysql.connect(settings, seconds, use_unicode=False, conv=_TEXT)
    try:
        with connection.cursor() as cursor:
            mysql.limit_statements(cursor, seconds)
            cursor.execute(
                # The server waits so long while a part is on its way to S3.
                "SET SESSION net_write_timeout = 600, group_concat_max_len = %s, time_zone = %s",
                [_MOST, time_zone],
            )
            cursor.execute("SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ")
            cursor.execute("START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY")
        yield connection
    finally:
        connection.close()
        _leave(connection)


def read(
    connection: Connection,
    source: Source,
    form: Form,
    *,
    after: str | None = None,
    plain: bool = False,
) -> Reading:
    """Begin to read a query; `after` is the position of a block that was read before.

    Raises pymysql.MySQLError with the server's message; to go through the blocks raises Unfit, too.
    """
    why = _why_plain(source.sql)
    if plain or why:
        return _plain(connection, source, form, why or "the fast way did not serve")
    try:
        columns = _columns(connection, f"SELECT q.* FROM {source.table} LIMIT 0")
    except (pymysql.ProgrammingError, pymysql.OperationalError) as error:
        if not connection.open:
            raise
        # Two columns of one name, or no SELECT: where it is something else, it fails again.
        why = f"it cannot stand as a derived table: {error.args[1]}"
        return _plain(connection, source, form, why)
    mariadb = mysql.is_mariadb(connection)
    # MySQL sends 0.000000000000001, and writes 1e-15 where it joins the number to text.
    if odd := [
        one.name
        for one in columns
        if one.kind == "unknown" or (one.type_code in _FLOATS and not mariadb)
    ]:
        return _plain(connection, source, form, f"of the type of {', '.join(odd)}")
    why = "it names no key"
    if source.key is not None:
        column = next((one for one in columns if one.name == source.key), None)
        why = _unusable(connection, source, column)
        if column and not why:
            keys = _Keys(connection, source, columns, form, column)
            return Reading(columns, "keys", "", keys.blocks(after))
    return Reading(columns, "lines", why, _by_lines(connection, source, columns, form))


def _by_lines(
    connection: Connection, source: Source, columns: Sequence[Column], form: Form
) -> Iterator[Block]:
    statement = f"SELECT {csv_form.line(columns, form)} FROM {source.table}"
    for fetched in _streamed(connection, statement):
        lines = [row[0] for row in fetched]
        if None in lines:
            raise Unfit(
                "a row has no line: it has long text, or is larger than the server's"
                " max_allowed_packet"
            )
        yield Block(END.join(lines) + END, len(lines))


def _plain(connection: Connection, source: Source, form: Form, why: str) -> Reading:
    cursor = connection.cursor(SSCursor)
    cursor.execute(source.sql)
    columns = _described(cursor)

    def blocks() -> Iterator[Block]:
        for fetched in _fetched(cursor):
            yield Block(csv_form.rows(columns, form, fetched), len(fetched))

    return Reading(columns, "plain", why, blocks())


@dataclass
class _Keys:
    """Ranges of a key, each so wide that its lines are about a BLOCK."""

    connection: Connection
    source: Source
    columns: Sequence[Column]
    form: Form
    column: Column

    def __post_init__(self) -> None:
        self.name = csv_form.name(self.column.name)
        utf8 = _utf8(self.connection, self.source, self.columns)
        separator = f"SEPARATOR X'{_MARK.hex()}'"
        line = csv_form.line(self.columns, self.form, utf8)
        self.values = f"COUNT(*), GROUP_CONCAT({line} {separator})"
        if condition := csv_form.too_long(self.columns):
            wide = [one for one in self.columns if one.long or one.kind == "binary"]
            sizes = "+".join(f"IFNULL(LENGTH({csv_form.name(one.name)}),0)" for one in wide)
            # How many rows have no line, and how much text, and binary, all of them have.
            self.values += f", SUM({condition}), SUM({sizes})"

    def blocks(self, after: str | None) -> Iterator[Block]:
        if self.column.kind == "integer":
            yield from self._by_steps(after)
        else:
            yield from self._by_counts(after)

    def _by_steps(self, after: str | None) -> Iterator[Block]:
        """Go by equal steps of an integer: no search for the end of each range."""
        first, last = self._one(f"MIN({self.name})", after), self._one(f"MAX({self.name})", after)
        if first is None or last is None:
            return
        below, step = int(first) - 1, _FIRST_ROWS
        while below < int(last):
            above = min(below + step, int(last))
            size = 0
            for block in self._range(str(below), str(above), step):
                size += len(block.data)
                yield block
            if not size:
                # A hole: on to the next key there is.
                following = self._one(f"MIN({self.name})", str(above))
                if following is None:
                    return
                above = int(following) - 1
            below, step = above, _next(step, size)

    def _by_counts(self, after: str | None) -> Iterator[Block]:
        """Go by a number of rows, for keys that have no steps."""
        count = _FIRST_ROWS
        while True:
            until = self._one(self.name, after, f"ORDER BY {self.name} LIMIT 1 OFFSET {count - 1}")
            above = self._literal(until or self._one(f"MAX({self.name})", after))
            if above is None:
                return
            size = 0
            for block in self._range(after, above, count):
                size += len(block.data)
                yield block
            if until is None:
                return
            after, count = above, _next(count, size)

    def _range(self, below: str | None, above: str, rows: int) -> Iterator[Block]:
        """Read the keys above `below`, up to `above`: at most so many rows, as far as is known."""
        within = _between(self.name, below, above)
        with self.connection.cursor() as cursor:
            cursor.execute(f"SELECT {self.values} FROM {self.source.table} WHERE {within}")
            [[number, lines, *long]] = cursor.fetchall()
            cut = bool(cursor.warning_count) and _cut(cursor)
        if not int(number):
            return
        if long and int(long[0] or 0):
            if int(long[1]) <= _MOST:
                yield self._plain(within, above)
                return
        elif lines is not None and len(lines) < _MOST - 4 and not cut:
            if (there := lines.count(_MARK) + 1) != int(number):
                raise Unfit(f"of {int(number)} rows {int(number) - there} have no line")
            yield Block(lines.replace(_MARK, END) + END, int(number), above)
            return
        yield from self._halves(below, above, min(rows, int(number)))

    def _halves(self, below: str | None, above: str, rows: int) -> Iterator[Block]:
        """Read a range that is too large for one value in two, a single key the plain way."""
        middle = None
        if rows > 1:
            offset = f"ORDER BY {self.name} LIMIT 1 OFFSET {rows // 2 - 1}"
            middle = self._literal(self._one(self.name, below, offset))
        if middle is None or middle == above:
            yield self._plain(_between(self.name, below, above), above)
        else:
            yield from self._range(below, middle, rows // 2)
            yield from self._range(middle, above, rows - rows // 2)

    def _plain(self, within: str, above: str) -> Block:
        log.info("read the plain way", extra={"key": self.column.name, "position": above})
        statement = f"SELECT q.* FROM {self.source.table} WHERE {within}"
        parts, number, size = [], 0, 0
        for fetched in _streamed(self.connection, statement):
            parts.append(csv_form.rows(self.columns, self.form, fetched))
            number += len(fetched)
            size += len(parts[-1])
            if number > 1 and size > _MOST_OF_A_KEY:
                raise Unfit(f"too many rows have the {self.column.name} {above}")
        return Block(b"".join(parts), number, above)

    def _one(self, what: str, after: str | None, more: str = "") -> bytes | None:
        where = f"WHERE {self.name} > {after}" if after is not None else ""
        with self.connection.cursor() as cursor:
            cursor.execute(f"SELECT {what} FROM {self.source.table} {where} {more}")
            row = cursor.fetchone()
        return row[0] if row else None

    def _literal(self, value: bytes | None) -> str | None:
        return None if value is None else _literal(self.connection, self.column, value)


def _literal(connection: Connection, key: Column, value: bytes) -> str:
    match key.kind:
        case "integer" | "number":
            return value.decode()
        case "binary":
            return f"X'{value.hex()}'"
    return str(connection.escape(value.decode()))


def _between(name: str, below: str | None, above: str) -> str:
    return f"{name} <= {above}" + (f" AND {name} > {below}" if below is not None else "")


def _next(rows: int, size: int) -> int:
    """Return how far to go next, when so many rows or keys gave so many bytes."""
    return max(1, min(rows * 4, rows * BLOCK // max(size, 1)))


def _cut(cursor: Cursor) -> bool:
    """Tell whether one of the last statement's warnings says that lines were cut or lost."""
    count = cursor.warning_count
    cursor.execute("SHOW WARNINGS")
    shown = cursor.fetchall()
    # The server keeps the first 64 only: what it does not show may be the one.
    return len(shown) < count or any(int(code) in _CUT for _, code, _ in shown)


def _why_plain(sql: str) -> str:
    """Say why a statement is to be read once, and as it is; nothing where it need not."""
    text = queries.code(sql)
    if re.search(r"(?<!@)@(?!@)", text):
        return "it has user variables, whose values hang on the order of reading"
    # From the innermost brackets outward, so that an ORDER BY is that of what stands around it.
    while brackets := re.search(r"(\bOVER\s*)?\(([^()]*)\)", text, re.IGNORECASE):
        if brackets[1] and not _ORDER.search(brackets[2]):
            return _OVER_NO_ORDER
        text = f"{text[: brackets.start()]} {text[brackets.end() :]}"
    if re.search(r"\bOVER\s+\w", text, re.IGNORECASE):
        return _OVER_NO_ORDER
    return "it has an ORDER BY of its own" if _ORDER.search(text) else ""


def _unusable(connection: Connection, source: Source, key: Column | None) -> str:
    """Say why a key does not serve; nothing where it does."""
    if key is None:
        return f"its key {source.key} is no column of it"
    if key.nullable:
        return f"its key {key.name} may be NULL"
    if key.kind == "bits" or key.type_code in _FLOATS or key.enumerated:
        return f"its key {key.name} is of a type that cannot be gone by"
    name = csv_form.name(key.name)
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {name} FROM {source.table} LIMIT 1")
        if not (there := cursor.fetchone()):
            return ""
        # How the server finds one key is how it finds the beginning of a range. Of one that is not
        # there it may know so without looking, by what the query itself asks of its keys.
        value = _literal(connection, key, there[0])
        cursor.execute(
            "EXPLAIN FORMAT = TRADITIONAL"
            f" SELECT COUNT(*) FROM {source.table} WHERE {name} = {value}"
        )
        names = [column[0] for column in cursor.description]
        rows = [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
    plan = [
        ((row["select_type"] or b"").decode(), (row["type"] or b"").decode(), int(row["rows"] or 0))
        for row in rows
    ]
    return _why_slow(plan, key.name)


def _why_slow(plan: Sequence[tuple[str, str, int]], key: str) -> str:
    for select, _, _ in plan:
        if select not in ("SIMPLE", "PRIMARY", "DEPENDENT SUBQUERY"):
            return f"the server would make its part {select} anew for each range of {key}"
    for place, (_, access, rows) in enumerate(plan):
        if access in ("", "ALL", "index") and (not place or rows > _SMALL_TABLE):
            return f"no index leads the server by {key}"
    return ""


def _utf8(connection: Connection, source: Source, columns: Sequence[Column]) -> frozenset[str]:
    """Return the text columns that are stored in UTF-8, or a part of it."""
    names = [one.name for one in columns if one.kind == "text"]
    if not names:
        return frozenset()
    charsets = ", ".join(f"CHARSET({csv_form.name(name)})" for name in names)
    with connection.cursor() as cursor:
        # One row, whatever is there, and nothing of it read.
        none = f"(SELECT q.* FROM {source.table} LIMIT 0) q"
        cursor.execute(f"SELECT {charsets} FROM (SELECT 1) one LEFT JOIN {none} ON TRUE")
        [row] = cursor.fetchall()
    same = {b"utf8mb4", b"utf8mb3", b"utf8", b"ascii"}
    return frozenset(name for name, charset in zip(names, row, strict=True) if charset in same)


def _columns(connection: Connection, sql: str) -> list[Column]:
    with connection.cursor() as cursor:
        cursor.execute(sql)
        return _described(cursor)


def _described(cursor: Cursor) -> list[Column]:
    if cursor.description is None:
        raise pymysql.ProgrammingError(0, "the statement gives no columns")
    # `description` leaves out the character set and the flags.
    return [csv_form.column(field) for field in vars(cursor)["_result"].fields]


def _streamed(connection: Connection, sql: str) -> Iterator[Sequence[Any]]:
    cursor = connection.cursor(SSCursor)
    cursor.execute(sql)
    yield from _fetched(cursor)


def _fetched(cursor: SSCursor) -> Iterator[Sequence[Any]]:
    """Fetch so many rows at a time that they are about a BLOCK, however wide they are."""
    rows: list[Any] = []
    size = 0
    try:
        while (row := cursor.fetchone()) is not None:
            rows.append(row)
            size += sum(map(len, filter(None, row)))
            if size >= BLOCK or len(rows) >= _ROWS_A_FETCH:
                yield rows
                rows, size = [], 0
        if rows:
            yield rows
    finally:
        _leave(cursor.connection)


def _leave(connection: Connection) -> None:
    """Let go of a result that may not be at its end; PyMySQL would read all the rest of it."""
    result: Any = vars(connection).get("_result")
    if result is not None:
        result.unbuffered_active = False
