from collections.abc import Callable

import pytest

import lifecycle
from stack import Stack


@pytest.fixture(scope="session")
def running(new_stack: Callable[[], Stack]) -> Stack:
    stack = new_stack()
    lifecycle.start(stack, lambda _: None)
    return stack


@pytest.fixture
def stack(running: Stack) -> Stack:
    """A healthy stack, whatever the test before did to it."""
    lifecycle.start(running, lambda _: None)
    return running
