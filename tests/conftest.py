import shutil
from collections.abc import Callable, Iterator

import pytest

import processes
import stack as stacks
from stack import Stack

FIRST_PORT = 5100


def _free_stacks() -> Iterator[Stack]:
    for port in range(FIRST_PORT, FIRST_PORT + 400, 4):
        candidate = Stack(port=port)
        if not candidate.folder.exists() and not any(processes.holder(port + i) for i in range(4)):
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
