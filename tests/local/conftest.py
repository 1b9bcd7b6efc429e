import os
import shutil
from collections.abc import Callable, Iterator

import pytest

import processes
import stack as stacks
from stack import Stack


def _free_stacks() -> Iterator[Stack]:
    # A range of its own for each worker of xdist, so that no two find the same ports free.
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    first = int(os.environ.get("MIMAMORI_TEST_PORT", "5100")) + 100 * worker
    for port in range(first, first + 100, 4):
        candidate = Stack(port=port)
        used = candidate.folder.exists() or any(processes.holder(port + i) for i in range(4))
        if not used:
            yield candidate


@pytest.fixture(scope="session")
def new_stack() -> Iterator[Callable[[], Stack]]:
    """Hand out stacks on free ports, not started; all of them are gone at the end."""
    given: list[Stack] = []

    def one() -> Stack:
        stack = next(_free_stacks())
        stack.folder.mkdir(mode=0o700, parents=True)
        given.append(stack)
        return stack

    yield one
    for stack in given:
        stacks.stop(stack, lambda _: None)
        shutil.rmtree(stack.folder)


@pytest.fixture(scope="session")
def running(new_stack: Callable[[], Stack]) -> Stack:
    stack = new_stack()
    stacks.start(stack, lambda _: None)
    return stack


@pytest.fixture
def stack(running: Stack) -> Stack:
    """A healthy stack, whatever the test before did to it."""
    stacks.start(running, lambda _: None)
    return running
