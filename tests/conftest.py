import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import lifecycle
import processes
from stack import ROOT, Stack
from tests.support import free_port, serving

FIRST_PORT = 5100
MINISTACK = Path(os.environ.get("MIMAMORI_MINISTACK") or ROOT / ".local/ministack/bin/ministack")


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
        lifecycle.stop(stack, lambda _: None)
        shutil.rmtree(stack.folder)


@pytest.fixture(scope="session")
def ministack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of an AWS of this session's own, with IAM enforced and no stack around it."""
    if not MINISTACK.exists():
        pytest.fail(f"{MINISTACK} is missing: run scripts/install, or set MIMAMORI_MINISTACK")
    folder = tmp_path_factory.mktemp("ministack")
    port = free_port()
    environ = {
        "PATH": os.environ["PATH"],
        "HOME": str(folder),
        "TMPDIR": str(folder),
        "AUTH": "true",
        "BIND_HOST": "127.0.0.1",
        "GATEWAY_PORT": str(port),
    }
    url = f"http://127.0.0.1:{port}"
    with serving([MINISTACK], environ, health=f"{url}/_ministack/health", log=folder / "log"):
        yield url
