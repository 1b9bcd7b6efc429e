"""Events become frozen dataclasses, strictly: an error names the field, what it got and takes."""

import dataclasses
import keyword
import types
import typing
from collections.abc import Mapping
from typing import Any, Literal, TypeVar

import dacite

from common.logs import encodable

T = TypeVar("T")


class InvalidEvent(ValueError):
    """The event is not what the function takes; the message names the field."""


def parse(shape: type[T], event: object) -> T:
    """Build the dataclass `shape` from a JSON object.

    Field types may be text, numbers, booleans, literals, lists, mappings, dataclasses and unions
    of these. Where a field is called as a keyword of Python, the dataclass has a `_` after it:
    `from_`. Raises InvalidEvent for an unknown or a missing field, a wrong type, or a value that
    the dataclass's own `__post_init__` refuses.
    """
    if not isinstance(event, Mapping):
        raise invalid("event", event, "a JSON object")
    event = {f"{key}_" if keyword.iskeyword(key) else key: event[key] for key in event}
    try:
        return dacite.from_dict(shape, _all_known(shape, event), _STRICT)
    except _UnknownFieldsError as error:
        unknown = _cut(", ".join(sorted(error.keys)))
        place = error.field_path or "the event itself"
        takes = _takes(error.shape, within=error.field_path is None)
        raise InvalidEvent(f"unknown field: {unknown} ({place} takes {takes})") from None
    except dacite.MissingValueError as error:
        raise InvalidEvent(f"{error.field_path}: missing") from None
    except dacite.WrongTypeError as error:
        path = str(error.field_path).rstrip("_")
        raise invalid(path, error.value, _words(error.field_type)) from None


def records(event: object, *needed: str) -> list[Mapping[str, Any]] | None:
    """Return the records of an event of SQS, SNS or a stream, each with all that is `needed`.

    None for any other event: that is a payload by hand. Raises InvalidEvent.
    """
    if not isinstance(event, Mapping) or "Records" not in event:
        return None
    found = event["Records"]
    listed = isinstance(found, list) and all(isinstance(one, Mapping) for one in found)
    require(found and listed, "Records", found, "a list of objects")
    for name in needed:
        require(all(name in one for one in found), "Records", found, f"objects with {name}")
    return list(found)


def require(condition: object, field: str, got: object, takes: str) -> None:
    """Raise InvalidEvent unless `condition` holds: for the checks in `__post_init__`."""
    if not condition:
        raise invalid(field, got, takes)


def invalid(field: str, got: object, takes: str) -> InvalidEvent:
    """Return the error of a field that got something else than it takes, which is shortened."""
    return InvalidEvent(f"{field}: got {_cut(repr(got))}, takes {takes}")


def _cut(text: str) -> str:
    text = encodable(text)
    return text if len(text) <= 100 else text[:100] + "…"


def _number(value: Any) -> Any:
    # bool is an int to Python, but `"period": true` is a mistake: text makes dacite refuse it.
    return str(value) if isinstance(value, bool) else value


class _UnknownFieldsError(dacite.DaciteFieldError):
    """An object has fields (`keys`) that its dataclass (`shape`) does not have.

    dacite's own error for this does not say which object it is: this one gets its path.
    """

    def __init__(self, keys: set[str], shape: Any) -> None:
        super().__init__()
        self.keys, self.shape = keys, shape


def _all_known(shape: Any, value: Any) -> Any:
    if isinstance(value, Mapping):
        unknown = {str(key) for key in value if key not in shape.__dataclass_fields__}
        if unknown:
            raise _UnknownFieldsError(unknown, shape)
    return value


def _takes(shape: Any, *, within: bool) -> str:
    """Return the fields of a dataclass by name; `within`: those of its objects, too, in braces."""
    names = []
    for name, kind in typing.get_type_hints(shape).items():
        inner = [one for one in (kind, *typing.get_args(kind)) if dataclasses.is_dataclass(one)]
        parts = f" {{{_takes(inner[0], within=False)}}}" if within and inner else ""
        names.append(name.rstrip("_") + parts)
    return ", ".join(names)


class _Hooks(dict[Any, Any]):
    """Also for each type of a list or an object: dacite makes a list of whatever has parts."""

    def __contains__(self, kind: object) -> bool:
        parts = typing.get_origin(kind) in (list, dict) or dataclasses.is_dataclass(kind)
        return super().__contains__(kind) or parts

    def __missing__(self, kind: Any) -> Any:
        def checked(value: Any) -> Any:
            if dataclasses.is_dataclass(kind):
                return _all_known(kind, value)
            if not isinstance(value, typing.get_origin(kind)):
                raise dacite.WrongTypeError(field_type=kind, value=value)
            return value

        return checked


_STRICT = dacite.Config(strict=True, type_hooks=_Hooks({int: _number, float: _number}))
_WORDS = {
    str: "text",
    int: "a whole number",
    float: "a number",
    bool: "true or false",
    list: "a list",
    dict: "an object",
    types.NoneType: "null",
}


def _words(kind: Any) -> str:
    origin = typing.get_origin(kind)
    if origin is Literal:
        return " or ".join(map(repr, typing.get_args(kind)))
    if origin in (types.UnionType, typing.Union):
        return " or ".join(map(_words, typing.get_args(kind)))
    return _WORDS.get(origin or kind, "an object")
