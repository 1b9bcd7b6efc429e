"""What a load job is asked for: its `configuration.load`, read strictly."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sandbox.bigquery_schema import Schema, read_schema
from sandbox.bigquery_tables import Reference, Warehouse
from sandbox.google import Refused

_ENCODINGS = {"UTF-8": "utf-8", "UTF8": "utf-8", "ISO-8859-1": "latin-1"}
_OPTIONS = {
    *("sourceFormat", "skipLeadingRows", "writeDisposition", "createDisposition", "nullMarker"),
    *("allowQuotedNewlines", "allowJaggedRows", "ignoreUnknownValues", "maxBadRecords", "schema"),
    *("schemaUpdateOptions", "encoding", "fieldDelimiter", "quote", "destinationTable"),
    *("timePartitioning", "autodetect", "preserveAsciiControlCharacters"),
}


@dataclass(frozen=True)
class Load:
    """What a load job is asked for. `about` is what a table that it makes is made of."""

    reference: Reference
    schema: Schema | None
    about: Mapping[str, Any]
    write: str
    create: str
    update: tuple[str, ...]
    skip: int
    null: str | None
    newlines: bool
    controls: bool
    jagged: bool
    unknown: bool
    most_bad: int
    delimiter: str
    quote: str
    encoding: str


def read_load(warehouse: Warehouse, data: Mapping[str, Any]) -> Load:
    """Read a job's `configuration.load`; Refused (400) for what is wrong or not played."""
    if odd := data.keys() - _OPTIONS:
        raise Refused(400, f"The laptop does not play load.{min(odd)}.")
    target = data.get("destinationTable")
    if not isinstance(target, dict):
        raise Refused(400, "Required parameter is missing: destinationTable", "required")
    if target.get("projectId", warehouse.project) != warehouse.project:
        raise Refused(403, f"Access Denied: Project {target['projectId']}")
    if data.get("sourceFormat", "CSV") != "CSV" or data.get("autodetect"):
        raise Refused(400, "The laptop plays loads of CSV, without autodetect.")
    write, create = (
        _one_of(data, "writeDisposition", "WRITE_APPEND", "WRITE_TRUNCATE", "WRITE_EMPTY"),
        _one_of(data, "createDisposition", "CREATE_IF_NEEDED", "CREATE_NEVER"),
    )
    update = tuple(data.get("schemaUpdateOptions") or ())
    for option in update:
        if option not in ("ALLOW_FIELD_ADDITION", "ALLOW_FIELD_RELAXATION"):
            raise Refused(400, f"Invalid value for: schemaUpdateOptions: {option}")
    reference = warehouse.reference(str(target.get("datasetId")), str(target.get("tableId")))
    if update and not (write == "WRITE_APPEND" or (write == "WRITE_TRUNCATE" and reference.day)):
        words = "specified with WRITE_APPEND disposition, or with WRITE_TRUNCATE disposition on a"
        raise Refused(400, f"Schema update options should only be {words} table partition.")
    encoding = _ENCODINGS.get(str(data.get("encoding") or "UTF-8").upper())
    delimiter, quote = data.get("fieldDelimiter") or ",", data.get("quote", '"')
    delimiter = {"\\t": "\t", "tab": "\t"}.get(delimiter, delimiter)
    if not encoding or len(delimiter) != 1 or quote != '"':
        raise Refused(400, 'The laptop plays UTF-8 and ISO-8859-1, one delimiter, and the quote ".')
    return Load(
        reference=reference,
        schema=read_schema(data["schema"]) if data.get("schema") else None,
        about=data,
        write=write,
        create=create,
        update=update,
        skip=_whole(data, "skipLeadingRows"),
        null=data.get("nullMarker") or None,
        newlines=data.get("allowQuotedNewlines") is True,
        controls=data.get("preserveAsciiControlCharacters") is True,
        jagged=data.get("allowJaggedRows") is True,
        unknown=data.get("ignoreUnknownValues") is True,
        most_bad=_whole(data, "maxBadRecords"),
        delimiter=delimiter,
        quote=quote,
        encoding=encoding,
    )


def _one_of(data: Mapping[str, Any], name: str, *allowed: str) -> str:
    value = data.get(name) or allowed[0]
    if value not in allowed:
        raise Refused(400, f"Invalid value for: {name}: {value}")
    return str(value)


def _whole(data: Mapping[str, Any], name: str) -> int:
    value = str(data.get(name) or 0)
    if not re.fullmatch("[0-9]{1,9}", value):
        raise Refused(400, f"Invalid value for: {name}: {value}")
    return int(value)
