"""BigQuery's SELECT on DuckDB: names, strings and parameters are translated, and little else.

Enough for counts and small reports. A table is `dataset.table` or `project.dataset.table`, with
backticks or without; parameters are named, and plain values. Whatever else the two engines say
differently is DuckDB's way here: most functions, and what an error of SQL says.
"""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import duckdb

from sandbox.bigquery_tables import Warehouse, read_table
from sandbox.bigquery_types import BY_NAME, Type, of_duckdb, quoted, text
from sandbox.google import Refused

_TOKENS = re.compile(
    r"""(?P<skip>--[^\n]*|\#[^\n]*|/\*.*?\*/|\s+)
    |(?P<string>[rR]?'(?:[^'\\\n]|\\.)*'|[rR]?"(?:[^"\\\n]|\\.)*")
    |(?P<name>`[^`\n]+`(?:\.`[^`\n]+`)*)
    |(?P<parameter>@[A-Za-z_]\w*)
    |(?P<path>[A-Za-z_][\w-]*(?:\.[A-Za-z_]\w*){1,2})
    |(?P<word>[A-Za-z_]\w*)
    |(?P<number>[0-9]+(?:\.[0-9]*)?(?:[eE][+-]?[0-9]+)?)
    |(?P<other>.)""",
    re.VERBOSE | re.DOTALL,
)
_TYPES = {name: one.kept for name, one in BY_NAME.items()} | {"BIGNUMERIC": "DECIMAL(38, 9)"}
_NAME = re.compile(r"[A-Za-z_]\w*")
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r"}
_MOST_ROWS = 100_000


@dataclass(frozen=True)
class Result:
    """What a query brought: names and types of its columns, and the rows as they are sent."""

    columns: tuple[tuple[str, Type], ...]
    rows: tuple[tuple[str | None, ...], ...]


def query(warehouse: Warehouse, request: Mapping[str, Any]) -> Result:
    """Run a SELECT of a job's `configuration.query` or of jobs.query; Refused (400) if it fails."""
    if request.get("useLegacySql", True) is not False:
        raise Refused(400, "The laptop plays GoogleSQL alone: useLegacySql must be false.")
    odd = request.keys() & {"destinationTable", "tableDefinitions", "scriptOptions"}
    if odd:
        raise Refused(400, f"The laptop does not play query.{min(odd)}.")
    parameters = read_parameters(request.get("queryParameters") or [])
    with warehouse.reading() as cursor:

        def rows_of(parts: Sequence[str]) -> str:
            if len(parts) == 3 and parts[0] != warehouse.project:
                raise Refused(403, f"Access Denied: Table {parts[0]}:{'.'.join(parts[1:])}")
            reference = warehouse.reference(*parts[-2:])
            return read_table(cursor, reference).reference.rows

        sql, used = translate(str(request.get("query") or ""), parameters, rows_of)
        _only_tables(cursor, sql)
        try:
            return _run(cursor, sql, {name: parameters[name][1] for name in used})
        except duckdb.Error as error:
            raise _invalid(str(error).splitlines()[0]) from error


def read_parameters(data: Any) -> dict[str, tuple[Type, str | None]]:
    """Read queryParameters: type and value by name; Refused (400) for lists and structures."""
    read = {}
    for one in data:
        try:
            kind = BY_NAME.get(one["parameterType"]["type"])
            name, value = one["name"], one["parameterValue"].get("value")
        except (TypeError, LookupError, AttributeError):
            raise _invalid("Query parameters must have a name, a type and a value") from None
        if not kind or not isinstance(name, str) or not isinstance(value, str | None):
            raise _invalid(f"The laptop plays no query parameter of this type: {name!a}")
        read[name] = kind, value
    return read


def translate(
    sql: str, parameters: Mapping[str, tuple[Type, Any]], rows_of: Callable[[Sequence[str]], str]
) -> tuple[str, set[str]]:
    """Return a statement as DuckDB's, and the parameters that it has.

    `rows_of` finds a table by the parts of its name, and raises Refused where there is none.
    """
    out, used, before = [], set(), ""
    sql = sql.strip().removesuffix(";")
    for match in _TOKENS.finditer(sql):
        kind, token = str(match.lastgroup), match[0]
        upper = token.upper()
        if kind == "skip":
            out.append(" ")
            continue
        if not before and upper not in ("SELECT", "WITH", "("):
            raise _invalid("The laptop plays SELECT statements alone")
        if kind == "parameter":
            name = token[1:]
            if name not in parameters:
                raise _invalid(f"Query parameter '{name}' not found")
            used.add(name)
            out.append(parameters[name][0].value.format(x=f"CAST(${name} AS VARCHAR)"))
        else:
            follows = sql[match.end() :].lstrip()[:1]
            out.append(_token(kind, token, (before, follows), rows_of))
        before = upper
    if not before:
        raise Refused(400, "Required parameter is missing: query", "required")
    return "".join(out).strip(), used


def _token(
    kind: str, token: str, around: tuple[str, str], rows_of: Callable[[Sequence[str]], str]
) -> str:
    parts = token.replace("`", "").split(".")
    before, follows = around
    match kind:
        case "string":
            return text(_string(token))
        case "name":
            return rows_of(parts) if parts[1:] else quoted(parts[0])
        case "path" if before in ("FROM", "JOIN"):
            return rows_of(parts)
        # A column may be called like a type.
        case "word" if follows in ("'", '"') or (before, follows) == ("AS", ")"):
            return _TYPES.get(token.upper(), token)
        case "word" if token.upper() == "SAFE_CAST":
            return "TRY_CAST"
        case "other" if token in {*";$?\"'`"}:
            raise _invalid(f'Syntax error: Unexpected "{token}"')
    return token


def _string(token: str) -> str:
    raw = token[0] in "rR"
    inner = token[2:-1] if raw else token[1:-1]
    return inner if raw else re.sub(r"\\(.)", lambda m: _ESCAPES.get(m[1], m[1]), inner)


def _only_tables(cursor: duckdb.DuckDBPyConnection, sql: str) -> None:
    """Refuse what reads anything but the tables: files, settings, DuckDB's own catalogue."""
    found = cursor.execute("SELECT json_serialize_sql($1)", [sql]).fetchone()
    tree = json.loads(found[0]) if found else {"error": True}
    if tree.get("error"):
        raise _invalid(str(tree.get("error_message", "not a SELECT")).splitlines()[0])
    nodes = list(_nodes(tree))
    named = {entry["key"] for node in nodes for entry in (node.get("cte_map") or {}).get("map", [])}
    for node in nodes:
        if node.get("type") == "TABLE_FUNCTION":
            raise _invalid("Table-valued function not found")
        if node.get("type") == "BASE_TABLE" and node.get("schema_name") != "rows":
            name = node.get("table_name")
            if name not in named or node.get("schema_name"):
                words = "must be qualified with a dataset (e.g. dataset.table)"
                raise _invalid(f'Table "{name}" {words}')


def _nodes(tree: Any) -> Any:
    if isinstance(tree, dict):
        yield tree
    for inner in (
        tree.values() if isinstance(tree, dict) else tree if isinstance(tree, list) else ()
    ):
        yield from _nodes(inner)


def _run(cursor: duckdb.DuckDBPyConnection, sql: str, values: Mapping[str, str | None]) -> Result:
    about = cursor.execute(f"SELECT * FROM ({sql}) LIMIT 0", values).description or []  # noqa: S608
    columns, unnamed = [], 0
    for name, kind, *_ in about:
        known = of_duckdb(str(kind))
        if not known:
            raise _invalid(f"The laptop plays no column of type {kind}")
        if not _NAME.fullmatch(name):
            name, unnamed = f"f{unnamed}_", unnamed + 1  # noqa: PLW2901
        columns.append((name, known))
    aliases = ", ".join(f"c{i}" for i in range(len(columns)))
    told = ", ".join(kind.wire.format(x=f"c{i}") for i, (_, kind) in enumerate(columns))
    rows = cursor.execute(
        f"SELECT {told} FROM ({sql}) AS q({aliases}) LIMIT {_MOST_ROWS + 1}",  # noqa: S608
        values,
    ).fetchall()
    if len(rows) > _MOST_ROWS:
        raise Refused(403, "Response too large to return.", "responseTooLarge")
    return Result(tuple(columns), tuple(rows))


def _invalid(words: str) -> Refused:
    return Refused(400, words, "invalidQuery")
