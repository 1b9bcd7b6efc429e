import json
from dataclasses import dataclass, field
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.events import InvalidEvent, parse, require


@dataclass(frozen=True)
class Reference:
    parameter: str


@dataclass(frozen=True)
class Item:
    name: str
    period: int = 300
    scale: float = 1
    missing: Literal["skip", "zero"] = "skip"
    dimensions: dict[str, str | Reference] = field(default_factory=dict)

    def __post_init__(self):
        require(self.period > 0, "period", self.period, "seconds")


@dataclass(frozen=True)
class Event:
    service: str
    items: list[Item] = field(default_factory=list)
    environment: str | None = None


def test_a_good_event():
    event = {
        "service": "s",
        "items": [
            {"name": "a", "scale": 2, "dimensions": {"A": "x", "B": {"parameter": "P"}}},
        ],
    }
    assert parse(Event, event) == Event(
        "s", [Item("a", scale=2, dimensions={"A": "x", "B": Reference("P")})]
    )


@pytest.mark.parametrize(
    ("event", "message"),
    [
        (None, "event: got None, takes a JSON object"),
        ([], "event: got [], takes a JSON object"),
        ({}, "service: missing"),
        ({"service": 3}, "service: got 3, takes text"),
        ({"service": None}, "service: got None, takes text"),
        ({"service": "s", "servise": 1}, "unknown field: servise"),
        ({"service": "s", "environment": 1}, "environment: got 1, takes text or null"),
        ({"service": "s", "items": "abc"}, "items: got 'abc', takes a list"),
        ({"service": "s", "items": [3]}, "items: got [3], takes a list"),
        ({"service": "s", "items": [{}]}, "items.name: missing"),
        ({"service": "s", "items": [{"name": "a", "perod": 1}]}, "unknown field: perod"),
        ({"service": "s", "items": [{"name": "a", "period": 0}]}, "period: got 0, takes seconds"),
        (
            {"service": "s", "items": [{"name": "a", "period": "60"}]},
            "items.period: got '60', takes a whole number",
        ),
        (
            {"service": "s", "items": [{"name": "a", "period": True}]},
            "items.period: got 'True', takes a whole number",
        ),
        (
            {"service": "s", "items": [{"name": "a", "missing": "no"}]},
            "items.missing: got 'no', takes 'skip' or 'zero'",
        ),
        (
            {"service": "s", "items": [{"name": "a", "dimensions": {"A": 3}}]},
            "items.dimensions: got 3, takes text or an object",
        ),
        (
            {"service": "x" * 3, "items": ["y" * 500]},
            "items: got ['yyyy",
        ),
        ({"z" * 500: 1}, "unknown field: zzzz"),
    ],
)
def test_a_bad_event_is_one_error_that_names_the_field(event, message):
    with pytest.raises(InvalidEvent) as error:
        parse(Event, event)
    assert str(error.value).startswith(message)
    assert len(str(error.value)) < 300


@dataclass(frozen=True)
class Place:
    name: str
    period: int = 300


@dataclass(frozen=True)
class Placed:
    place: Place
    other: Reference | None = None
    items: list[Place] = field(default_factory=list)
    from_: str | None = None


@pytest.mark.parametrize(
    ("event", "message"),
    [
        (
            {"parameter": "P"},
            (
                "unknown field: parameter (the event itself takes "
                "place {name, period}, other {parameter}, items {name, period}, from)"
            ),
        ),
        (
            {"place": {"name": "a", "x": 1, "parameter": "P"}},
            "unknown field: parameter, x (place takes name, period)",
        ),
        (
            {"place": {"name": "a"}, "other": {"x": 1}},
            "unknown field: x (other takes parameter)",
        ),
        (
            {"place": {"name": "a"}, "items": [{"name": "a", "dimension": {}}]},
            "unknown field: dimension (items takes name, period)",
        ),
    ],
)
def test_an_unknown_field_is_told_with_those_of_its_place(event, message):
    with pytest.raises(InvalidEvent) as error:
        parse(Placed, event)
    assert str(error.value) == message


def test_where_two_objects_may_stand_the_field_is_of_neither():
    assert parse(Event, {"service": "s", "items": [{"name": "a", "dimensions": {"A": "x"}}]})
    wrong = {"service": "s", "items": [{"name": "a", "dimensions": {"A": {"parametre": "P"}}}]}
    with pytest.raises(InvalidEvent) as error:
        parse(Event, wrong)
    assert str(error.value).startswith("items.dimensions: got ")


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["service", "items", "name", "period", "dimensions", "parameter", "x"]),
            inner,
            max_size=4,
        )
    ),
)


@given(json_values)
def test_whatever_comes_is_parsed_or_refused_in_one_way(event):
    try:
        parsed = parse(Event, json.loads(json.dumps(event)))
    except InvalidEvent as error:
        assert str(error)
    else:
        assert isinstance(parsed.service, str)
        assert all(type(item.period) is int for item in parsed.items)
