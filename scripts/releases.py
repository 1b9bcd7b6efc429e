"""Compare and roll back through lambroll: `python scripts/releases.py ENV diff [FUNCTION …]`.

`python scripts/releases.py ENV rollback FUNCTION [FLAG …]` puts one function back to its version
before.
"""

import subprocess

import build
import deploy
import environment
from command import CommandError, only_one, run

QUIET = "--log-level=warn"


def diff(env: str, names: str) -> int:
    """Print what a deploy would change; ends with the first function that cannot be compared."""
    functions = environment.functions(env, names)
    shell = environment.shell(env)
    for name in functions:
        src = f"--src={build.build(name).relative_to(environment.ROOT)}"
        if code := _lambroll("diff", name, src, *deploy.COMPARE, QUIET, shell=shell):
            return code
    return 0


def rollback(env: str, names: str, *flags: str) -> int:
    """Put one function back to its version before; CommandError where there is none."""
    name = only_one(names, "make rollback FUNCTION=cloudwatch_to_mackerel")
    about = environment.functions(env, name)[name]
    if not _has_earlier(env, about["name"]) and not any("--version" in flag for flag in flags):
        raise CommandError(f"there is no earlier version of {name} in {env} yet")
    shell = environment.shell(env)
    return _lambroll("rollback", name, f"--alias={deploy.ALIAS}", *flags, shell=shell)


def _has_earlier(env: str, function: str) -> bool:
    """Tell whether a function has a version before that of its alias."""
    client = environment.client(env, "lambda")
    current = client.get_alias(FunctionName=function, Name=deploy.ALIAS)["FunctionVersion"]
    pages = client.get_paginator("list_versions_by_function").paginate(FunctionName=function)
    there = [one["Version"] for page in pages for one in page["Versions"]]
    # Of a function that was never deployed it is $LATEST, Terraform's placeholder.
    return current.isdigit() and any(int(one) < int(current) for one in there if one.isdigit())


def _lambroll(command: str, function: str, *flags: str, shell: dict[str, str]) -> int:
    line = deploy.command_line(command, function, *flags)
    return subprocess.run(line, cwd=environment.ROOT, env=shell, check=False).returncode


def main(env: str, command: str, names: str = "", *flags: str) -> int:
    """Do it; lambroll's own output is shown."""
    return diff(env, names) if command == "diff" else rollback(env, names, *flags)


if __name__ == "__main__":
    run(main)
