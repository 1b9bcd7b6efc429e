"""BigQuery's types as SQL for DuckDB: what of a CSV fits them, how it is kept, how it is told.

What fits is judged by patterns, as a cast of DuckDB takes far more. Documented: booleans, base64,
the forms of DATE, DATETIME, TIME and TIMESTAMP, and what NUMERIC holds. Guesses: no blanks around a
value; an INT64 is plain digits with a sign; more decimals than NUMERIC has are refused, not
rounded (but rounded where there is an exponent); no epoch seconds for TIMESTAMP. BIGNUMERIC is kept
as its text, which no other engine here could hold: a query sees a STRING.
"""

from dataclasses import dataclass

_YEAR = "(?:000[1-9]|00[1-9][0-9]|0[1-9][0-9]{2}|[1-9][0-9]{3})"
_DATE = f"{_YEAR}-[0-9]{{2}}-[0-9]{{2}}"
_EITHER_DATE = f"{_YEAR}(?:-[0-9]{{2}}-|/[0-9]{{2}}/)[0-9]{{2}}"
_CLOCK = r"(?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](?:\.[0-9]{1,6})?"
_ZONE = r"(?:Z|z| ?UTC|[+-](?:0?[0-9]|1[0-4])(?::?[0-5][0-9])?)?"
_BASE64 = "(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?"
_WHOLE = "regexp_replace({x}, '^[+-]?0*([0-9]*).*$', '\\1')"  # its digits before the point


@dataclass(frozen=True)
class Type:
    """A type. `fits`, `value` (of a VARCHAR) and `wire` (of what is kept) are SQL over {x}.

    `name` as errors of a value have it, `legacy` as a schema in an answer does, `kept` DuckDB's.
    """

    name: str
    legacy: str
    kept: str
    fits: str
    value: str
    wire: str = "CAST({x} AS VARCHAR)"
    number: bool = False


def _matches(pattern: str) -> str:
    return f"regexp_full_match({{x}}, '{pattern.replace('{', '{{').replace('}', '}}')}')"


def _number(point: int) -> str:
    return _matches(f"[+-]?(?:[0-9]+(?:\\.[0-9]{{0,{point}}}0*)?|\\.[0-9]{{1,{point}}}0*)")


_EXPONENT = _matches(r"[+-]?[0-9]{1,40}(?:\.[0-9]*)?[eE][+-]?[0-9]{1,2}")
_PLAIN = "regexp_replace(CAST({x} AS VARCHAR), '(\\.[0-9]*?)0+$', '\\1')"
_SLASHES = "regexp_replace({x}, '^([0-9]{{4}})/([0-9]{{2}})/', '\\1-\\2-')"
_INSTANT = f"regexp_replace({_SLASHES}, '(?i) ?(?:utc|z)$', '+00')"
# DuckDB takes +09, +09:00, not +9 or +0900; and without a zone it is UTC.
_INSTANT = f"regexp_replace({_INSTANT}, '([+-])([0-9])(:[0-9]+)?$', '\\10\\2\\3')"
_INSTANT = f"regexp_replace({_INSTANT}, '(:[0-9.]+[+-][0-9][0-9])([0-9][0-9])$', '\\1:\\2')"
_AT = f"(?:[Tt ]{_CLOCK})?"
# DuckDB's takes NaN and Infinity.
_BARE = """regexp_replace({x}, '"(?:[^"\\\\]|\\\\.)*"', '', 'g')"""
_JSON = f"(json_valid({{x}}) AND NOT regexp_matches({_BARE}, '(?i)nan|inf'))"

TYPES = (
    Type("STRING", "STRING", "VARCHAR", "TRUE", "{x}", "{x}"),
    Type("BYTES", "BYTES", "BLOB", _matches(_BASE64), "from_base64({x})", "to_base64({x})"),
    Type(
        "INT64",
        "INTEGER",
        "BIGINT",
        f"({_matches('[+-]?[0-9]+')} AND TRY_CAST({{x}} AS BIGINT) IS NOT NULL)",
        "TRY_CAST({x} AS BIGINT)",
        number=True,
    ),
    Type(
        "FLOAT64",
        "FLOAT",
        "DOUBLE",
        "("
        + _matches(r"(?i)[+-]?(?:(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:e[+-]?[0-9]+)?|inf(?:inity)?|nan)")
        + " AND TRY_CAST({x} AS DOUBLE) IS NOT NULL)",
        "TRY_CAST({x} AS DOUBLE)",
        "replace(replace(CAST({x} AS VARCHAR), 'inf', 'Infinity'), 'nan', 'NaN')",
        number=True,
    ),
    Type(
        "NUMERIC",
        "NUMERIC",
        "DECIMAL(38, 9)",
        f"(({_number(9)} OR {_EXPONENT}) AND TRY_CAST({{x}} AS DECIMAL(38, 9)) IS NOT NULL)",
        "TRY_CAST({x} AS DECIMAL(38, 9))",
        f"rtrim({_PLAIN}, '.')",
        number=True,
    ),
    Type(
        "BIGNUMERIC",
        "BIGNUMERIC",
        "VARCHAR",
        f"({_number(38)} AND length({_WHOLE}) <= 38)",
        "{x}",
        "{x}",
    ),
    Type(
        "BOOL",
        "BOOLEAN",
        "BOOLEAN",
        _matches("(?i)true|t|yes|y|1|false|f|no|n|0"),
        "lower({x}) IN ('true', 't', 'yes', 'y', '1')",
    ),
    Type(
        "DATE",
        "DATE",
        "DATE",
        f"({_matches(_DATE)} AND TRY_CAST({{x}} AS DATE) IS NOT NULL)",
        "TRY_CAST({x} AS DATE)",
    ),
    Type(
        "DATETIME",
        "DATETIME",
        "TIMESTAMP",
        f"({_matches(_DATE + _AT)} AND TRY_CAST({{x}} AS TIMESTAMP) IS NOT NULL)",
        "TRY_CAST({x} AS TIMESTAMP)",
        "replace(CAST({x} AS VARCHAR), ' ', 'T')",
    ),
    Type(
        "TIME",
        "TIME",
        "TIME",
        _matches(_CLOCK),
        "TRY_CAST({x} AS TIME)",
    ),
    Type(
        "TIMESTAMP",
        "TIMESTAMP",
        "TIMESTAMPTZ",
        f"({_matches(_EITHER_DATE + _AT + _ZONE)}"
        f" AND TRY_CAST({_INSTANT} AS TIMESTAMPTZ) IS NOT NULL)",
        f"TRY_CAST({_INSTANT} AS TIMESTAMPTZ)",
        "CAST(epoch_us({x}) AS VARCHAR)",
    ),
    Type("JSON", "JSON", "JSON", _JSON, "CAST({x} AS JSON)"),
)
BY_NAME = {name: one for one in TYPES for name in (one.name, one.legacy)}
EMPTY_IS_TEXT = ("STRING", "BYTES")


def of_duckdb(kind: str) -> Type | None:
    """Return the type of a query's column by DuckDB's own, or None where BigQuery has none."""
    if kind.startswith("DECIMAL"):
        return BY_NAME["NUMERIC"]
    if kind in ("HUGEINT", "INTEGER", "SMALLINT", "TINYINT", "UBIGINT", "UINTEGER"):
        return BY_NAME["INT64"]
    kept = {one.kept: one for one in TYPES if one.name != "BIGNUMERIC"}
    kept |= {"FLOAT": BY_NAME["FLOAT64"], '"NULL"': BY_NAME["INT64"]}
    return kept.get("TIMESTAMPTZ" if kind == "TIMESTAMP WITH TIME ZONE" else kind)


def quoted(name: str) -> str:
    """Return a name as an SQL identifier."""
    return '"' + name.replace('"', '""') + '"'


def text(value: str) -> str:
    """Return a value as an SQL string."""
    return "'" + value.replace("'", "''") + "'"
