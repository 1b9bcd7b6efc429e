"""Invoke a function through lambroll: `python scripts/invoke.py ENV FUNCTION [EVENT_FILE]`.

Without a file the payload comes from standard input. lambroll exits 0 whatever the function did;
this ends non-zero when it failed, with the function's error.
"""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import environment
from command import CommandError, only_one, run
from deploy import ALIAS, command_line


class InvokeError(CommandError):
    """The function failed, or could not be called."""


def invoke(
    function: str,
    payload: str,
    shell: dict[str, str],
    show_log: Callable[[str], object] = lambda _: None,
) -> Any:
    """Invoke with one JSON payload and return the answer; `show_log` is given the log's tail.

    Raises InvokeError with the function's error, or lambroll's where it did not get that far.
    """
    try:
        json.loads(payload)
    except json.JSONDecodeError as error:
        raise InvokeError(f"the payload is not one JSON value: {error}") from None
    done = subprocess.run(
        command_line("invoke", function, f"--qualifier={ALIAS}", "--log-tail", "--log-level=warn"),
        cwd=environment.ROOT,
        env=shell,
        input=payload,
        capture_output=True,
        text=True,
        check=False,
    )
    show_log(done.stderr)
    if done.returncode or not done.stdout.strip():
        raise InvokeError(f"{function} could not be invoked: {done.stderr.strip()[-2000:]}")
    answer = json.loads(done.stdout)
    if isinstance(answer, dict) and "errorMessage" in answer:
        kind = answer.get("errorType", "Error")
        raise InvokeError(f"{function} failed: {kind}: {answer['errorMessage']}")
    return answer


def read(event: str) -> str:
    """Return what a file with a payload holds; CommandError if there is none, or it is not text."""
    try:
        return Path(event).read_text(encoding="utf-8")
    except FileNotFoundError:
        raise CommandError(
            f"no file {event!r}: EVENT takes a file with a payload, "
            "functions/<capability>/events/… has examples"
        ) from None
    except UnicodeDecodeError as error:
        raise CommandError(f"{event} is not UTF-8: {error}") from None


def main(env: str, function: str = "", event: str = "") -> None:
    """Invoke and print the answer: in lines for a person, in one line for another program."""
    name = only_one(function, "make invoke FUNCTION=cloudwatch_to_mackerel")
    payload = read(event) if event else None
    environment.functions(env, name)
    if payload is None:
        payload = sys.stdin.read()
    answer = invoke(name, payload, environment.shell(env), sys.stderr.write)
    indent = 2 if sys.stdout.isatty() else None
    print(json.dumps(answer, ensure_ascii=False, indent=indent))


if __name__ == "__main__":
    run(main)
