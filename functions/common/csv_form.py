"""How a row becomes a line of CSV: by the server, in SQL, or here; both give the same bytes.

The rule is that of Python's csv module with QUOTE_NONNUMERIC and CR LF: numbers are bare, all
else is in double quotes, NULL is nothing at all (so that it is told from ''). The text of a value
is the server's own: no float, decimal or date passes through Python. Binary is hexadecimal, BIT a
number.
"""

import binascii
import csv
import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from pymysql.constants import FIELD_TYPE, FLAG

END = b"\r\n"
# What a spreadsheet takes for the beginning of a formula.
# https://owasp.org/www-community/attacks/CSV_Injection
FORMULA = "=+-@\t\r"
# Bytes of text that the server may double quotes in: it moves all that follows at each of them, so
# a text of some MB that is full of quotes would keep it busy for hours.
LONGEST_TEXT = 8192

Kind = Literal["integer", "number", "bits", "text", "binary", "time", "unknown"]

_INTEGERS = {
    *(FIELD_TYPE.TINY, FIELD_TYPE.SHORT, FIELD_TYPE.INT24, FIELD_TYPE.LONG, FIELD_TYPE.LONGLONG),
    FIELD_TYPE.YEAR,
}
_NUMBERS = {FIELD_TYPE.DECIMAL, FIELD_TYPE.NEWDECIMAL, FIELD_TYPE.FLOAT, FIELD_TYPE.DOUBLE}
_TIMES = {FIELD_TYPE.DATE, FIELD_TYPE.TIME, FIELD_TYPE.DATETIME, FIELD_TYPE.TIMESTAMP}
_STRINGS = {
    *(
        FIELD_TYPE.VARCHAR,
        FIELD_TYPE.VAR_STRING,
        FIELD_TYPE.STRING,
        FIELD_TYPE.ENUM,
        FIELD_TYPE.SET,
    ),
    *(FIELD_TYPE.TINY_BLOB, FIELD_TYPE.BLOB, FIELD_TYPE.MEDIUM_BLOB, FIELD_TYPE.LONG_BLOB),
    *(FIELD_TYPE.JSON, FIELD_TYPE.GEOMETRY),
}
_BINARY = 63  # the 'character set' of what is no text


@dataclass(frozen=True)
class Form:
    """What differs from one use to another.

    `null` stands for NULL, `binary` is how bytes are written. `guard` puts an apostrophe before
    text that a spreadsheet would take for a formula; numbers are never touched.
    """

    null: str = ""
    binary: Literal["hex", "base64"] = "hex"
    guard: bool = True


@dataclass(frozen=True)
class Column:
    """A column of a result. `type_code` is MySQL's own (FIELD_TYPE), `scale` that of a DECIMAL.

    `long`: text that may have more than LONGEST_TEXT. `enumerated`: ENUM or SET, which are ordered
    by their numbers, and compared as text.
    """

    name: str
    kind: Kind
    nullable: bool
    type_code: int = FIELD_TYPE.NULL
    scale: int = 0
    long: bool = False
    enumerated: bool = False


def column(field: Any) -> Column:
    """Take a column from the description that the server sent (PyMySQL's FieldDescriptorPacket)."""
    kind: Kind = "unknown"
    if field.type_code in _INTEGERS:
        kind = "integer"
    elif field.type_code in _NUMBERS:
        kind = "number"
    elif field.type_code in _TIMES:
        kind = "time"
    elif field.type_code == FIELD_TYPE.BIT:
        kind = "bits"
    elif field.type_code in _STRINGS:
        # MySQL sends JSON as text that it calls binary.
        text = field.charsetnr != _BINARY or field.type_code == FIELD_TYPE.JSON
        kind = "text" if text else "binary"
    nullable = not field.flags & FLAG.NOT_NULL
    long = kind == "text" and field.length > LONGEST_TEXT
    enumerated = bool(field.flags & (FLAG.ENUM | FLAG.SET))
    return Column(field.name, kind, nullable, field.type_code, field.scale, long, enumerated)


def header(titles: Iterable[str]) -> bytes:
    """Return the first line: the columns' titles."""
    return _lines([list(titles)])


def line(columns: Sequence[Column], form: Form, utf8: frozenset[str] = frozenset()) -> str:
    """Return the SQL expression of a row's line, without its end, over columns of a table `q`.

    It is NULL where `too_long` is true. `utf8` names the text columns that are stored in UTF-8 and
    need no conversion. Literals are merged, and text is handled as bytes: both are a good part of
    its speed.
    """
    null = '""' if len(columns) == 1 and not form.null else form.null
    pieces: list[tuple[bool, str]] = []  # a literal, or an expression
    for number, one in enumerate(columns):
        if number:
            pieces.append((True, ","))
        parts = _parts(one, form, utf8)
        if one.nullable:
            value = _concat(parts) if len(parts) > 1 else parts[0][1]
            # Not IFNULL: what is too large for a packet is NULL, too, and must not pass for it.
            parts = [(False, f"IF({name(one.name)} IS NULL,{literal(null)},{value})")]
        pieces += parts
    whole = _concat(pieces)
    condition = too_long(columns)
    return f"IF({condition},NULL,{whole})" if condition else whole


def too_long(columns: Iterable[Column]) -> str:
    """Return the SQL condition that a row has text of more than LONGEST_TEXT; '' where none can."""
    return " OR ".join(f"LENGTH({name(one.name)})>{LONGEST_TEXT}" for one in columns if one.long)


def rows(columns: Sequence[Column], form: Form, values: Iterable[Sequence[Any]]) -> bytes:
    """Return rows as lines. The values are as the server sent them: bytes, or None."""
    null = _Bare(form.null)
    writers = [_writer(one, form) for one in columns]
    return _lines(
        [null if value is None else write(value) for write, value in zip(writers, row, strict=True)]
        for row in values
    )


def literal(text: str) -> str:
    """Return text as an SQL literal that means the same in every sql_mode."""
    if "\\" in text:
        return f"X'{text.encode().hex()}'"
    return "'" + text.replace("'", "''") + "'"


def name(column_name: str) -> str:
    """Return a column's name as SQL takes it."""
    return "q.`" + column_name.replace("`", "``") + "`"


class _Bare(str):
    """Text that csv leaves without quotes, as it does with numbers."""

    __slots__ = ()

    def __float__(self) -> float:
        return float(str(self))


def _lines(values: Iterable[Sequence[str]]) -> bytes:
    out = io.StringIO(newline="")
    csv.writer(out, quoting=csv.QUOTE_NONNUMERIC, lineterminator="\r\n").writerows(values)
    return out.getvalue().encode()


def _writer(one: Column, form: Form) -> Any:
    match one.kind:
        case "integer" | "number":
            return lambda value: _Bare(value.decode())
        case "bits":
            return lambda value: _Bare(int.from_bytes(value, "big"))
        case "binary" | "unknown" if form.binary == "hex":
            return lambda value: value.hex().upper()
        case "binary" | "unknown":
            return lambda value: binascii.b2a_base64(value, newline=False).decode()
        case "text" if form.guard:
            return _guarded
    return bytes.decode


def _guarded(value: bytes) -> str:
    text = value.decode()
    return "'" + text if text.startswith(tuple(FORMULA)) else text


def _parts(one: Column, form: Form, utf8: frozenset[str]) -> list[tuple[bool, str]]:
    """Return what stands for a value that is not NULL: literals, and expressions."""
    here = name(one.name)
    match one.kind:
        case "integer" | "number":
            return [(False, here)]
        case "bits":
            return [(False, f"{here}+0")]
        case "time":
            value = [here]
        case "text":
            value = _text(here if one.name in utf8 else f"CONVERT({here} USING utf8mb4)", form)
        case _ if form.binary == "hex":
            value = [f"HEX({here})"]
        case _:
            value = [f"REPLACE(TO_BASE64({here}),X'0A','')"]
    return [(True, '"'), *((False, part) for part in value), (True, '"')]


def _text(text: str, form: Form) -> list[str]:
    doubled = f"""REPLACE(CAST({text} AS BINARY),'"','""')"""
    if not form.guard:
        return [doubled]
    codes = ",".join(str(ord(character)) for character in sorted(FORMULA))
    # All of them come before the letters: most text is through after one comparison.
    return [f"IF(ASCII({text})>64,'',IF(ASCII({text}) IN ({codes}),'''',''))", doubled]


def _concat(pieces: Iterable[tuple[bool, str]]) -> str:
    merged: list[tuple[bool, str]] = []
    for is_literal, text in pieces:
        if is_literal and merged and merged[-1][0]:
            merged[-1] = (True, merged[-1][1] + text)
        else:
            merged.append((is_literal, text))
    return f"CONCAT({','.join(literal(text) if said else text for said, text in merged)})"
