"""The environment that env_scheduler puts to sleep: look at it, put it to sleep, wake it.

`python scripts/estate.py ENV status` prints what is on, off and in between, and when that changes.
`python scripts/estate.py ENV sleep|wake` starts the state machine that does it, and does not wait.
"""

import json
from collections.abc import Iterator, Mapping
from typing import Any

import environment
from checks import table
from command import run
from invoke import invoke

FUNCTION = "env_scheduler"
ACTIONS = {"sleep": "suspend", "wake": "start"}
HEAD = ("kind", "name", "state", "changes", "keep until", "last", "why")


def lines(told: Mapping[str, Any]) -> Iterator[str]:
    """Yield the function's answer to `status` as lines for people, a table for each schedule."""
    if not told["schedules"]:
        yield "no schedules: env_scheduler.schedules in the tfvars"
    for one in told["schedules"]:
        yield f"{one['schedule']}, tag {one['tag']}: {one['wanted']} since {one['since']}"
        yield f"  next: {one['next']['action']} at {one['next']['at']}"
        rows = [
            [each["kind"], each["name"], each["state"], *_when(each)] for each in one["resources"]
        ]
        yield from table([HEAD, *rows]) if rows else ["  nothing has this tag"]
        yield from (f"  WRONG: {kind}: {error}" for kind, error in one["errors"].items())


def _when(each: Mapping[str, Any]) -> list[str | None]:
    mark = each["mark"]
    last = mark and f"{mark['what']} at {mark['at']}"
    return [each["changes"], each["keep_until"], last, each["reason"]]


def status(env: str) -> int:
    """Print what is on and off, and say whether all could be looked at."""
    environment.functions(env, FUNCTION)
    told = invoke(FUNCTION, '{"action": "status"}', environment.shell(env))
    print("\n".join(lines(told)))
    return 1 if any(one["errors"] for one in told["schedules"]) else 0


def start(env: str, action: str) -> None:
    """Start the state machine, with `suspend` or `start`."""
    machine = environment.output(env, FUNCTION)["state_machine_arn"]
    started = environment.client(env, "stepfunctions").start_execution(
        stateMachineArn=machine, input=json.dumps({"action": action})
    )
    of_env = "" if env == "local" else f" ENV={env}"
    print(f"Started: {started['executionArn']}\nHow far it is: make estate{of_env}")


def main(env: str, what: str) -> int:
    """Do it."""
    if what == "status":
        return status(env)
    start(env, ACTIONS[what])
    return 0


if __name__ == "__main__":
    run(main)
