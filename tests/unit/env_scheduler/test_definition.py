"""The state machine's definition, held against the language and the function that it calls."""

import json
import re
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from common.events import parse
from env_scheduler.decisions import ORDER
from env_scheduler.handler import Event

ROOT = Path(__file__).parents[3]
TEXT = (ROOT / "terraform/state_machines/env_scheduler.asl.json").read_text(encoding="utf-8")
ENDS = {"Succeed", "Fail"}


def machines(machine: dict[str, Any], name: str = "all") -> Iterator[tuple[str, dict[str, Any]]]:
    """Give a machine and those inside its Maps, by name."""
    yield name, machine
    for inner, state in machine["States"].items():
        if state["Type"] == "Map":
            yield from machines(state["ItemProcessor"], inner)


DEFINITION = json.loads(TEXT)
MACHINES = dict(machines(DEFINITION))
STATES = {name: state for machine in MACHINES.values() for name, state in machine["States"].items()}
TASKS = {name: state for name, state in STATES.items() if state["Type"] == "Task"}


def followers(state: dict[str, Any]) -> set[str]:
    ways = [state, *state.get("Choices", []), *state.get("Catch", [])]
    return {way[key] for way in ways for key in ("Next", "Default") if key in way}


def test_only_arns_are_put_in() -> None:
    assert set(re.findall(r"\$\{(\w+)\}", TEXT)) == {"function", "partition"}
    # Not even an account's or a region's.
    assert set(re.findall(r'"[^"]*arn:[^"]*"', TEXT)) == {
        '"arn:${partition}:states:::lambda:invoke"'
    }
    # A directive of Terraform's templates would be one by accident.
    assert "%{" not in TEXT


@pytest.mark.parametrize("name", MACHINES)
def test_every_state_that_is_named_exists_and_is_reached(name: str) -> None:
    states = MACHINES[name]["States"]
    reached: set[str] = set()
    coming = {MACHINES[name]["StartAt"]}
    while coming:
        assert coming <= states.keys()
        reached |= coming
        coming = set().union(*(followers(states[one]) for one in coming)) - reached
    assert reached == states.keys()


def test_every_state_goes_on_or_ends() -> None:
    assert len(STATES) == sum(len(machine["States"]) for machine in MACHINES.values())
    for name, state in STATES.items():
        goes_on = {"Next", "Default", "End"} & state.keys()
        assert len(goes_on) == (0 if state["Type"] in ENDS else 1), name
        if state["Type"] == "Choice":
            assert "Default" in state, name


def test_it_decides_in_data() -> None:
    """A Python exception has no name of its own on the laptop, so none may be asked for."""
    assert DEFINITION["QueryLanguage"] == "JSONata"
    asked = {
        error
        for state in STATES.values()
        for way in (*state.get("Retry", []), *state.get("Catch", []))
        for error in way["ErrorEquals"]
    }
    assert all(re.match(r"Lambda\.|States\.|Sandbox\.", error) for error in asked)
    for expression in re.findall(r'"(\{%.*?)"', TEXT):
        assert expression.endswith("%}")


def test_every_task_calls_the_function_and_outlives_lambdas_troubles() -> None:
    timeout = re.search(r"Timeout: (\d+)", (ROOT / "lambroll/env_scheduler.jsonnet").read_text())
    assert timeout
    for name, task in TASKS.items():
        assert task["Arguments"]["FunctionName"] == "${function}", name
        assert task["TimeoutSeconds"] > int(timeout[1]), name  # the function's own end comes first
        retry = task["Retry"][0]
        assert {"Lambda.ServiceException", "Lambda.TooManyRequestsException"} < {
            *retry["ErrorEquals"]
        }
        assert (retry["BackoffRate"], retry["JitterStrategy"]) == (2, "FULL")


def test_kinds_take_turns_and_none_keeps_another_from_its() -> None:
    kinds = STATES["EachKind"]
    assert kinds["MaxConcurrency"] == 1
    [catch] = STATES["Act"]["Catch"]
    assert catch["ErrorEquals"] == ["States.ALL"]
    # What is told of it is no count, so the summary takes it for a failure.
    assert catch["Output"].keys() == {"kind", "changed", "error"}
    # A pause inside would hold up the kinds behind.
    inside = {state["Type"] for state in kinds["ItemProcessor"]["States"].values()}
    assert inside == {"Task", "Succeed"}


def test_it_waits_for_capacity_longer_each_time_but_not_for_ever() -> None:
    [again] = STATES["WorthAnotherRound"]["Choices"]
    rounds = re.search(r"\$states\.input\.round <= (\d+)", again["Condition"])
    first = re.search(
        r"(\d+) \* \$power\(2, \$states\.input\.round - 1\)", STATES["Pause"]["Seconds"]
    )
    assert rounds
    assert first
    pauses = [int(first[1]) * 2 ** (number - 1) for number in range(1, int(rounds[1]) + 1)]
    assert pauses == [60, 120, 240, 480, 960]
    # All kinds without capacity, each call at its longest: it still ends by itself.
    turns = (len(pauses) + 1) * len(ORDER["start"])
    assert sum(pauses) + turns * STATES["Act"]["TimeoutSeconds"] < DEFINITION["TimeoutSeconds"]


@pytest.mark.parametrize("order", [{"action": "suspend"}, {"action": "start", "tag": "x"}])
def test_the_function_takes_what_it_is_sent(order: dict[str, Any]) -> None:
    given: dict[str, Any] = {
        "action": {"Plan": "plan", "Summary": "summary"},
        "of": order["action"],
        "results": [],
        "kind": "ec2_instances",
        "reporting": "data",
        "changed_before": 2,
    }
    known = {field.name for field in fields(Event)}
    for name, task in TASKS.items():
        payload = task["Arguments"]["Payload"]
        keys = set(re.findall(r"'(\w+)':", payload))
        assert keys <= known, name
        sent = {key: given[key] for key in keys}
        if "action" in sent:
            sent["action"] = given["action"][name]
            assert f"'{sent['action']}'" in payload
        parse(Event, order | sent)
