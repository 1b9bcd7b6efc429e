"""Build and deploy functions side by side: `python scripts/deploy.py ENV [FUNCTION …]`.

An unchanged function is left alone. Where one cannot be built, because it cannot be imported, say,
nothing is deployed. Ends non-zero naming the functions that failed; the others are deployed.
"""

import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path

import build
import environment
from command import CommandError, run

sys.path.insert(0, str(build.FUNCTIONS))
from common.queries import InvalidQuery
from db_to_cloudwatch import queries

ALIAS = "current"
# Tags are Terraform's.
COMPARE = ("--code", f"--qualifier={ALIAS}", "--ignore=.Tags")
KEEP_VERSIONS = 5
SIDE_BY_SIDE = 4
DEPLOYED, UNCHANGED = "deployed", "unchanged"


class DeployError(CommandError):
    """lambroll's own words on why a deploy failed."""


def command_line(command: str, function: str, *flags: str) -> list[str]:
    """Return what to run for a lambroll command on one function, from the project's folder."""
    config = f"--function=lambroll/{function}.jsonnet"
    return [".local/bin/lambroll", "--no-color", command, config, *flags]


def lambroll(command: str, function: str, *flags: str, shell: dict[str, str]) -> int:
    """Run lambroll on one function. Returns 0, or 2 where `diff` found differences."""
    done = subprocess.run(
        command_line(command, function, *flags),
        cwd=environment.ROOT,
        env=shell,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if done.returncode not in (0, 2):
        raise DeployError(done.stdout.strip())
    return done.returncode


def deploy(function: str, shell: dict[str, str]) -> bool:
    """Build one function, and deploy it if it changed. Returns whether it had."""
    return release(function, build.build(function), shell)


def release(function: str, folder: Path, shell: dict[str, str]) -> bool:
    """Deploy what is built if the code or the configuration changed. Returns whether it had."""
    src = f"--src={folder.relative_to(environment.ROOT)}"
    if lambroll("diff", function, src, *COMPARE, "--exit-code", shell=shell) == 0:
        return False
    flags = (f"--alias={ALIAS}", f"--keep-versions={KEEP_VERSIONS}")
    if lambroll("deploy", function, src, *flags, shell=shell):
        raise DeployError("lambroll deploy ended with 2")
    return True


def build_all(names: list[str]) -> dict[str, Path]:
    """Build functions side by side; returns name → folder.

    Raises DeployError with the reason of each that cannot be built.
    """
    folders: dict[str, Path] = {}
    failed: list[str] = []
    with ThreadPoolExecutor(SIDE_BY_SIDE) as pool:
        building = {name: pool.submit(build.build, name) for name in names}
        for name, built in building.items():
            try:
                folders[name] = built.result()
            except (CommandError, OSError) as error:
                failed.append(str(error))
    if failed:
        raise DeployError("\n".join([*failed, "nothing was deployed"]))
    return folders


def release_all(
    folders: dict[str, Path],
    shell: dict[str, str],
    say: Callable[[str], None] = lambda _: None,
) -> dict[str, str]:
    """Deploy what is built, side by side; returns name → `deployed` or `unchanged`.

    Raises DeployError naming each that failed, when all have had their turn.
    """
    results: dict[str, str] = {}
    failed: dict[str, str] = {}
    began = time.monotonic()
    with ThreadPoolExecutor(SIDE_BY_SIDE) as pool:
        running = {pool.submit(release, *one, shell): one[0] for one in folders.items()}
        for done in as_completed(running):
            name = running[done]
            try:
                results[name] = DEPLOYED if done.result() else UNCHANGED
            except (CommandError, OSError) as error:
                failed[name] = str(error)
            say(f"{name}: {results.get(name, 'FAILED')} ({time.monotonic() - began:.1f} s)")
    if failed:
        reasons = "\n".join(f"{name}:\n{reason}" for name, reason in failed.items())
        raise DeployError(f"{reasons}\ndeploy failed: {', '.join(sorted(failed))}")
    return results


def check_namespaces(env: str) -> None:
    """Refuse queries that put metrics into a namespace that their function's role does not have.

    CommandError names them; it is Terraform that gives the role what the queries of its tree need.
    """
    known = environment.outputs(env).get("db_to_cloudwatch", {}).get("namespaces", [])
    wanted: dict[str, list[str]] = {}
    for name in queries.names():
        try:
            namespace = queries.load(name).header.namespace
        except InvalidQuery as error:
            raise CommandError(f"functions/db_to_cloudwatch/queries/{name}.sql: {error}") from None
        if namespace not in known:
            wanted.setdefault(namespace, []).append(f"{name}.sql")
    if wanted:
        said = "; ".join(f"{one} ({', '.join(files)})" for one, files in wanted.items())
        apply = f"make apply{'' if env == 'local' else f' ENV={env}'}"
        raise CommandError(
            f"the role of db_to_cloudwatch in {env} may not put metrics into {said} yet: "
            f"run {apply} first"
        )


def main(env: str, *names: str) -> None:
    """Deploy and say, line by line, what became of each function."""
    functions = environment.functions(env, " ".join(names))
    if "db_to_cloudwatch" in functions:
        check_namespaces(env)
    release_all(build_all([*functions]), environment.shell(env), print)


if __name__ == "__main__":
    run(main)
