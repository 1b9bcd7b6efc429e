"""A table's schema and partitioning: read strictly, compared, and changed as BigQuery lets one.

Flat columns only: no RECORD, no REPEATED, no parameters of types. Partitions are days of a DATE,
DATETIME or TIMESTAMP column (the last one by UTC). Guess: a load's schema that leaves out a column
of the table is refused.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from sandbox.bigquery_types import BY_NAME, Type
from sandbox.google import Refused

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,299}")
_DAYS = ("DATE", "DATETIME", "TIMESTAMP")


@dataclass(frozen=True)
class Field:
    """A column."""

    name: str
    type: Type
    required: bool = False
    description: str = ""

    def resource(self) -> dict[str, str]:
        """Return it as an answer has it."""
        mode = "REQUIRED" if self.required else "NULLABLE"
        said = {"name": self.name, "type": self.type.legacy, "mode": mode}
        return said | ({"description": self.description} if self.description else {})


Schema = tuple[Field, ...]


def read_schema(data: Any) -> Schema:
    """Read `{"fields": […]}`; Refused (400) names the field that is wrong."""
    fields = data.get("fields") if isinstance(data, dict) else None
    if not isinstance(fields, list) or not fields or not all(isinstance(f, dict) for f in fields):
        raise Refused(400, "Schema has no fields.")
    read = tuple(_field(one) for one in fields)
    names: set[str] = set()
    for one in read:
        if one.name.lower() in names:
            raise Refused(400, f"Duplicate field name {one.name} in the schema.")
        names.add(one.name.lower())
    return read


def _field(data: dict[str, Any]) -> Field:
    name = data.get("name")
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        words = "Fields must contain only letters, numbers, and underscores, start with a letter or"
        raise Refused(400, f'Invalid field name "{name}". {words} underscore.')
    kind = BY_NAME.get(str(data.get("type")).upper())
    if not kind:
        raise Refused(400, f"Invalid value for type of field {name}: {data.get('type')}")
    mode = str(data.get("mode") or "NULLABLE").upper()
    if mode not in ("NULLABLE", "REQUIRED"):
        raise Refused(400, f"The laptop plays no mode {mode} (field: {name})")
    odd = data.keys() - {"name", "type", "mode", "description", "policyTags", "fields"}
    if odd or data.get("fields"):
        raise Refused(400, f"The laptop does not play {min(odd or ['fields'])} ({name})")
    return Field(name, kind, mode == "REQUIRED", str(data.get("description") or ""))


def read_partitioning(data: Any, schema: Schema) -> str | None:
    """Read timePartitioning: the column, as the schema spells it; None where there is none."""
    if data is None:
        return None
    if not isinstance(data, dict) or data.get("type") != "DAY" or not data.get("field"):
        raise Refused(400, "The laptop plays time partitioning by DAY of a field alone.")
    found = find(schema, str(data["field"]))
    if not found:
        raise Refused(
            400,
            f"The field specified for partitioning cannot be found in the schema: {data['field']}",
        )
    if found.type.name not in _DAYS:
        words = f"TIMESTAMP, DATE or DATETIME, but found {found.type.legacy}"
        raise Refused(400, f"The field specified for partitioning must be {words}.")
    return found.name


def find(schema: Schema, name: str) -> Field | None:
    """Return a column by name, in any case."""
    return next((one for one in schema if one.name.lower() == name.lower()), None)


def grown(old: Schema, new: Schema, table: str, options: Sequence[str]) -> Schema:
    """Return a table's schema after a load with the schema `new`.

    Raises Refused as BigQuery's job fails: where columns are missing, of another type or mode, or
    added without ALLOW_FIELD_ADDITION. `table` is its name in the error.
    """
    kept = [_same(one, find(new, one.name), table, options) for one in old]
    added = [one for one in new if not find(old, one.name)]
    for one in added:
        if "ALLOW_FIELD_ADDITION" not in options:
            raise _mismatch(table, f"Cannot add fields (field: {one.name})")
        if one.required:
            words = f"Cannot add required fields to an existing schema. (field: {one.name})"
            raise _mismatch(table, words)
    return (*kept, *added)


def _same(old: Field, new: Field | None, table: str, options: Sequence[str]) -> Field:
    if not new:
        raise _mismatch(table, f"Field {old.name} is missing in new schema")
    if new.type != old.type:
        change = f"from {old.type.legacy} to {new.type.legacy}"
        raise _mismatch(table, f"Field {old.name} has changed type {change}")
    if new.required and not old.required:
        raise _mismatch(table, f"Field {old.name} has changed mode from NULLABLE to REQUIRED")
    if old.required and not new.required:
        if "ALLOW_FIELD_RELAXATION" not in options:
            raise _mismatch(table, f"Field {old.name} has changed mode from REQUIRED to NULLABLE")
        return replace(old, required=False)
    return old


def _mismatch(table: str, words: str) -> Refused:
    return Refused(400, f"Provided Schema does not match Table {table}. {words}")


def patched(old: Schema, new: Schema, table: str) -> Schema:
    """Return a table's schema after a PATCH: as `grown`, with the descriptions of `new`."""
    options = ("ALLOW_FIELD_ADDITION", "ALLOW_FIELD_RELAXATION")
    return tuple(
        replace(one, description=given.description) if (given := find(new, one.name)) else one
        for one in grown(old, new, table, options)
    )
