"""Events become frozen dataclasses, strictly: an error names the field, what it got and takes."""

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
        return dacite.from_dict(shape, event, _STRICT)
    except dacite.UnexpectedDataError as error:
        unknown = _cut(", ".join(sorted(map(str, error.keys))))
        known = ", ".join(field.rstrip("_") for field in shape.__dataclass_fields__)  # type: ignore[attr-defined]
        raise InvalidEvent(f"unknown field: {unknown} (the event itself takes {known})") from None
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


class _Hooks(dict[Any, Any]):
    """Also for each type of a list or an object: dacite makes a list of whatever has parts."""

    def __contains__(self, kind: object) -> bool:
        return super().__contains__(kind) or typing.get_origin(kind) in (list, dict)

    def __missing__(self, kind: Any) -> Any:
        def checked(value: Any) -> Any:
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
