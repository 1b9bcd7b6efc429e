"""Compare and roll back through lambroll: `python scripts/releases.py ENV diff [FUNCTION …]`.

`python scripts/releases.py ENV rollback FUNCTION [FLAG …]` puts one function back to its version
before.
"""

import subprocess

import build
import deploy
import environment
from command import only_one, run

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
    """Put one function back to its version before."""
    name = only_one(names, "make rollback FUNCTION=cloudwatch_to_mackerel")
    environment.functions(env, name)
    shell = environment.shell(env)
    return _lambroll("rollback", name, f"--alias={deploy.ALIAS}", *flags, shell=shell)


def _lambroll(command: str, function: str, *flags: str, shell: dict[str, str]) -> int:
    line = deploy.command_line(command, function, *flags)
    return subprocess.run(line, cwd=environment.ROOT, env=shell, check=False).returncode


def main(env: str, command: str, names: str = "", *flags: str) -> int:
    """Do it; lambroll's own output is shown."""
    return diff(env, names) if command == "diff" else rollback(env, names, *flags)


if __name__ == "__main__":
    run(main)
