"""Rows of a query become CloudWatch data, checked against the limits of PutMetricData."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from common.cloudwatch import ENVIRONMENT
from db_to_cloudwatch.queries import Header

MOST_ROWS = 1000
_LARGEST = 2.0**360
_MOST_DIMENSIONS = 30


class InvalidResult(ValueError):
    """What a query returned cannot become metrics; the message names the column."""


@dataclass(frozen=True)
class Result:
    """What a query returned: names of columns, which of them are numeric, and the rows."""

    columns: Sequence[str]
    numeric: Sequence[bool]
    rows: Sequence[Sequence[Any]]


def data(header: Header, result: Result, at: datetime, environment: str) -> list[dict[str, Any]]:
    """Return the MetricData of one query, all at one time.

    Each numeric column (or each that the header names) is a metric of the column's name; the
    other columns are dimensions beside those of the header and the name of the environment, whose
    numbers these are. Raises InvalidResult.
    https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_PutMetricData.html
    """
    named = _metrics(header, result)
    _check_columns(header, result, named)
    _check_names(header, result)
    metrics = [column for column in result.columns if column in named]
    found = []
    seen = set()
    for row in result.rows:
        values = dict(zip(result.columns, row, strict=True))
        of_row = {c: _dimension(c, value) for c, value in values.items() if c not in named}
        dimensions = {ENVIRONMENT: environment} | header.dimensions | of_row
        if len(dimensions) > _MOST_DIMENSIONS:
            said = f"{len(dimensions)} dimensions with {ENVIRONMENT}"
            raise InvalidResult(f"{said}, CloudWatch takes {_MOST_DIMENSIONS}")
        if tuple(dimensions.values()) in seen:
            raise InvalidResult(f"two rows have the same dimensions: {dimensions}")
        seen.add(tuple(dimensions.values()))
        found += [
            {
                "MetricName": column,
                "Dimensions": [{"Name": n, "Value": v} for n, v in dimensions.items()],
                "Timestamp": at,
                "Unit": header.unit,
                "Value": _value(column, values[column]),
            }
            for column in metrics
        ]
    return found


def _metrics(header: Header, result: Result) -> set[str]:
    if header.metrics is not None:
        return set(header.metrics)
    return {c for c, numeric in zip(result.columns, result.numeric, strict=True) if numeric}


def _check_columns(header: Header, result: Result, metrics: set[str]) -> None:
    if not result.rows:
        raise InvalidResult("no rows: a query gives one at least")
    if len(result.rows) > MOST_ROWS:
        raise InvalidResult(f"more than {MOST_ROWS} rows, each of which is a metric to pay for")
    if ENVIRONMENT in result.columns:
        said = f"{ENVIRONMENT}: every metric has this dimension already"
        raise InvalidResult(f"{said}, name the column otherwise (AS)")
    twice = {column for column in result.columns if result.columns.count(column) > 1}
    twice |= header.dimensions.keys() & set(result.columns)
    if twice:
        raise InvalidResult(f"named twice: {', '.join(sorted(twice))}")
    if unknown := metrics - set(result.columns):
        raise InvalidResult(f"metrics: no such column: {', '.join(sorted(unknown))}")
    for column, numeric, value in zip(result.columns, result.numeric, result.rows[0], strict=True):
        if column in metrics and not numeric:
            raise InvalidResult(f"{column}: got {value!r}, takes a number (CAST it)")
    if not metrics:
        first = dict(zip(result.columns, result.rows[0], strict=True))
        raise InvalidResult(f"no numeric column, only {first}: a metric is a number (CAST it)")


def _check_names(header: Header, result: Result) -> None:
    for name in (*result.columns, *header.dimensions):
        if not (name.isascii() and name.isprintable() and 0 < len(name) <= 255 and name[0] != ":"):
            raise InvalidResult(f"{name!r} cannot be a name: takes 1 to 255 ASCII characters")
    for name, text in header.dimensions.items():
        _dimension(name, text)


def _dimension(column: str, value: object) -> str:
    text = "" if value is None else str(value)
    if not (text.strip() and text.isascii() and text.isprintable() and len(text) <= 1024):
        raise InvalidResult(f"{column}: got {value!r}, takes 1 to 1024 ASCII characters")
    if text[0] == ":":
        raise InvalidResult(f"{column}: got {value!r}, a dimension cannot begin with a colon")
    return text


def _value(column: str, value: object) -> float:
    if value is None:
        raise InvalidResult(f"{column}: got NULL, takes a number (COALESCE it)")
    if not isinstance(value, int | float | Decimal):
        raise InvalidResult(f"{column}: got {value!r}, takes a number (CAST it)")
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number) or abs(number) > _LARGEST:
        raise InvalidResult(f"{column}: got {value}, CloudWatch takes up to 2^360")
    return number
