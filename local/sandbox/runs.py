"""When the functions ran and how it ended, read from the logs of the laptop's AWS."""

import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sandbox.watch import Answer, Watch, client

_RUNS = 20  # a function
_LINES = 40  # a run, the last ones
_CHARACTERS = 1000  # a line
_FRESH = 3.0  # seconds
_START = re.compile(r"START RequestId: (\S+)")
_REPORT = re.compile(r"REPORT RequestId: \S+\tDuration: ([\d.]+) ms")
_FIELDS = ("timestamp", "level", "logger", "message")

# The placeholder that Terraform gives to a function, and what it says.
_PLACEHOLDER = "placeholder.handler"
_NOT_DEPLOYED = "is not deployed yet: run make deploy"


@dataclass(frozen=True)
class Line:
    """A line of a log: the logger's level, or '' for one that is not JSON; extras as key=value."""

    level: str
    message: str
    extras: str = ""


@dataclass(frozen=True)
class Run:
    """One run: when it began or ended (epoch seconds), its error if it failed, its last lines."""

    id: str
    at: float
    milliseconds: float | None
    error: str | None
    lines: tuple[Line, ...]


@dataclass(frozen=True)
class Function:
    """A function, its newest runs (newest first), and whether it is more than a placeholder."""

    name: str
    runs: tuple[Run, ...] = ()
    deployed: bool = False


@dataclass(frozen=True)
class Seen(Answer):
    """What is known of the functions."""

    functions: tuple[Function, ...] = ()


def watch(endpoint: str) -> Watch[Seen]:
    """Return the newest runs at the AWS at `endpoint`, to be asked for."""
    return Watch(reader(endpoint), Seen(trouble="reading the logs"), _FRESH)


def reader(endpoint: str) -> Callable[[], Seen]:
    """Return a function that asks the AWS at `endpoint`, with the laptop's root key.

    It raises botocore's errors, within some seconds where nothing answers.
    """
    clients: list[Any] = []

    def read() -> Seen:
        if not clients:
            clients.extend(client(name, endpoint) for name in ("lambda", "logs"))
        functions, logs = clients
        found = functions.list_functions()["Functions"]
        return Seen(
            tuple(
                Function(
                    about["FunctionName"], _runs(logs, about), about.get("Handler") != _PLACEHOLDER
                )
                for about in sorted(found, key=lambda about: str(about["FunctionName"]))
            )
        )

    return read


def runs_of(events: Iterable[Mapping[str, Any]], timeout: float) -> list[Run]:
    """Read the runs out of one log stream's events, oldest first.

    An event is CloudWatch Logs' `{"timestamp" (ms), "message"}`; `timeout` the function's, in
    seconds. A run failed where a traceback or an error of Lambda's own is in its lines, or where it
    took all of its time: the laptop's AWS writes nothing of a run that it ended.
    """
    runs: list[Run] = []
    current = ""
    at = 0.0
    messages: list[str] = []
    for event in events:
        message = str(event["message"]).rstrip()
        if started := _START.match(message):
            current, at, messages = started[1], event["timestamp"] / 1000, []
        elif report := _REPORT.match(message):
            milliseconds = float(report[1])
            error = _error(messages)
            if error is None and milliseconds >= timeout * 1000:
                error = f"Task timed out after {timeout:g} seconds"
            lines = tuple(_line(text) for text in messages[-_LINES:])
            runs.append(Run(current, at, milliseconds, error, lines))
            current = ""
        elif not message.startswith("END RequestId: "):
            messages.append(message)
    if current:
        lines = tuple(_line(text) for text in messages[-_LINES:])
        runs.append(Run(current, at, None, _error(messages), lines))
    return runs


def _runs(logs: Any, about: Mapping[str, Any]) -> tuple[Run, ...]:
    group = f"/aws/lambda/{about['FunctionName']}"
    try:
        streams = logs.describe_log_streams(
            logGroupName=group, orderBy="LastEventTime", descending=True, limit=_RUNS
        )["logStreams"]
    except logs.exceptions.ResourceNotFoundException:
        return ()
    names = [stream["logStreamName"] for stream in streams]
    if not names:
        return ()
    since = min(stream.get("firstEventTimestamp", 0) for stream in streams)
    found = logs.filter_log_events(logGroupName=group, logStreamNames=names, startTime=since)
    runs = [
        run
        for name in names
        for run in runs_of(
            (event for event in found["events"] if event["logStreamName"] == name),
            float(about.get("Timeout", 3)),
        )
    ]
    runs.sort(key=lambda run: run.at, reverse=True)
    return tuple(runs[:_RUNS])


def _error(messages: Sequence[str]) -> str | None:
    """Return the exception that the last traceback ends with, without its module's name.

    Where there is none, it is what Lambda's runtime says of a function that came to no result.
    """
    starts = [i for i, text in enumerate(messages) if text.startswith("Traceback (most recent")]
    if not starts:
        of_lambda = (_of_lambda(text) for text in reversed(messages))
        return next((error for error in of_lambda if error), None)
    after = messages[starts[-1] + 1 :]
    last = next((text for text in after if text and not text.startswith(" ")), "an exception")
    kind, colon, words = last.partition(":")
    return f"{kind.rpartition('.')[2]}{colon}{words}"[:_CHARACTERS]


def _of_lambda(text: str) -> str | None:
    """Return the error in a line of Lambda's runtime: its level is called log_level."""
    data = _json(text)
    if data.get("log_level") != "ERROR":
        return None
    return f"{data.get('errorType')}: {data.get('errorMessage')}"[:_CHARACTERS]


def _json(text: str) -> dict[str, Any]:
    try:
        data = json.loads(text)
    except (ValueError, RecursionError):
        data = None
    return data if isinstance(data, dict) else {}


def _line(text: str) -> Line:
    data = _json(text)
    if error := _of_lambda(text):
        return Line("ERROR", error)
    if "message" not in data:
        return Line("", text[:_CHARACTERS])
    extras = "  ".join(f"{key}={_plain(data[key])}" for key in data if key not in _FIELDS)
    message = str(data["message"])[:_CHARACTERS]
    return Line(str(data.get("level", "")), message, extras[:_CHARACTERS])


def _plain(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def newest_failures(seen: Seen, seconds: float = 3600) -> list[tuple[Function, Run]]:
    """Return the failed runs that are not older than `seconds`, newest first.

    That a function was not deployed yet is over once it is.
    """
    since = datetime.now(UTC).timestamp() - seconds
    failed = [
        (function, run)
        for function in seen.functions
        for run in function.runs
        if run.error is not None
        and run.at >= since
        and not (run.error.endswith(_NOT_DEPLOYED) and function.deployed)
    ]
    return sorted(failed, key=lambda pair: pair[1].at, reverse=True)
