"""Seconds of a deploy of all functions: changed or not, side by side or one by one."""

import time
from statistics import median

import build
import deploy
import environment
import up
from stack import Stack

ROUNDS = 3
ALONE = "one by one"
TOGETHER = "side by side"


def touch(function: str, mark: str) -> None:
    """Change a line of one function's source."""
    source = build.FUNCTIONS / build.capability(function) / "__init__.py"
    source.write_text(source.read_text(encoding="utf-8") + f"# {mark}\n", encoding="utf-8")


def seconds(names: list[str], shell: dict[str, str], *, how: str, expected: str) -> float:
    began = time.perf_counter()
    if how == TOGETHER:
        results = deploy.release_all(deploy.build_all(names), shell)
    else:
        results = {}
        for name in names:
            results |= deploy.release_all(deploy.build_all([name]), shell)
    taken = time.perf_counter() - began
    if set(results.values()) != {expected}:
        raise RuntimeError(f"expected all {expected}, got {results}")
    return taken


def run(stack: Stack) -> list[tuple[str, str]]:
    up.up(stack)
    shell = environment.shell("local")
    names = build.functions()
    taken: dict[tuple[str, str], list[float]] = {}
    for number in range(ROUNDS):
        for how in (TOGETHER, ALONE):
            for name in names:
                touch(name, f"{number} {how}")
            for expected in (deploy.DEPLOYED, deploy.UNCHANGED):
                one = seconds(names, shell, how=how, expected=expected)
                taken.setdefault((expected, how), []).append(one)
    middle = {key: median(values) for key, values in taken.items()}
    print(f"{len(names)} functions on the laptop's AWS, median of {ROUNDS}")
    for (expected, how), value in middle.items():
        print(f"all {expected:10} {how:14} {value:5.2f} s")
    changed = middle[deploy.DEPLOYED, TOGETHER]
    unchanged = middle[deploy.UNCHANGED, TOGETHER]
    return [
        (f"Deploy of {len(names)} changed functions", f"{changed:.1f} s"),
        (f"Deploy of {len(names)} unchanged functions", f"{unchanged:.1f} s"),
        ("Unchanged against changed", f"{unchanged / changed:.2f} x"),
        (
            "Side by side against one by one (changed)",
            f"{changed / middle[deploy.DEPLOYED, ALONE]:.2f} x",
        ),
    ]
