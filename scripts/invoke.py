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

import build
import environment
from deploy import ALIAS, command_line


class InvokeError(Exception):
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


def main(env: str, function: str, event: str = "") -> int:
    """Invoke, print the answer, and say whether it went well."""
    if len(build.chosen(function)) != 1 or not function:
        raise SystemExit("say which function: make invoke FUNCTION=cloudwatch_to_mackerel")
    payload = Path(event).read_text(encoding="utf-8") if event else sys.stdin.read()
    try:
        answer = invoke(function, payload, environment.shell(env), sys.stderr.write)
        print(json.dumps(answer, ensure_ascii=False))
    except InvokeError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
