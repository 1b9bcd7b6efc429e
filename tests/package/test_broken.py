"""What cannot be imported on Lambda is not built, and then nothing is deployed."""

import shutil

import pytest

import build
import deploy
from command import CommandError

HANDLER = "db_to_cloudwatch/handler.py"
GOOD = "def handler(event, context):\n    return {}\n"


@pytest.fixture(scope="module")
def tree(copy_tree):
    """A copy of the tree, in which functions are built while the tests of this file run."""
    tree = copy_tree()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(build, "ROOT", tree)
        patch.setattr(build, "FUNCTIONS", tree / "functions")
        yield tree


@pytest.fixture
def write(tree):
    """Return a function that writes a file of functions/; afterwards all is as it was."""
    before = {}

    def write(name, text):
        path = tree / "functions" / name
        before[path] = path.read_bytes() if path.exists() else None
        path.write_text(text)

    yield write
    for path, content in before.items():
        path.unlink() if content is None else path.write_bytes(content)


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        (HANDLER, "def broken(:\n", f"{HANDLER}:1: SyntaxError: invalid syntax"),
        (
            HANDLER,
            f"\nimport nothing_here\n{GOOD}",
            f"{HANDLER}:2: ModuleNotFoundError: No module named 'nothing_here'",
        ),
        # Where this is tried there is more than on Lambda: the zip has to bring it.
        (HANDLER, f"import uvicorn\n{GOOD}", "not in the zip: "),
        (HANDLER, f"import os\nos.environ['NOT_SET']\n{GOOD}", f"{HANDLER}:2: KeyError: 'NOT_SET'"),
        (HANDLER, f"raise SystemExit(3)\n{GOOD}", f"{HANDLER}:1: SystemExit: 3"),
        (
            HANDLER,
            f"import socket\nsocket.create_connection(('127.0.0.1', 9))\n{GOOD}",
            f"{HANDLER}:2: RuntimeError: an import calls socket.getaddrinfo",
        ),
        (
            HANDLER,
            "handler = 7\n",
            f"{HANDLER}: there is no function 'handler', which Lambda calls",
        ),
        ("common/seldom.py", "x = (\n", "common/seldom.py:1: SyntaxError: '(' was never closed"),
    ],
)
def test_it_is_not_built_and_the_place_is_named(tree, write, name, text, said):
    write(name, text)
    with pytest.raises(CommandError) as error:
        build.build("db_to_cloudwatch")
    assert str(error.value).startswith(f"db_to_cloudwatch cannot be imported: {said}")
    assert "\n" not in str(error.value)
    assert not (tree / "build/db_to_cloudwatch").exists()


def test_nothing_is_deployed(tree, write, monkeypatch):
    asked = []
    monkeypatch.setattr(deploy, "release", lambda *one: asked.append(one))
    write(HANDLER, "def broken(:\n")
    with pytest.raises(deploy.DeployError) as error:
        deploy.release_all(deploy.build_all(["export_link", "db_to_cloudwatch"]), {})
    *reasons, last = str(error.value).splitlines()
    assert reasons == [
        f"db_to_cloudwatch cannot be imported: {HANDLER}:1: SyntaxError: invalid syntax"
    ]
    assert (last, asked) == ("nothing was deployed", [])


def test_what_was_imported_is_not_imported_again(tree, monkeypatch):
    shutil.rmtree(build.build("export_link"))
    monkeypatch.setattr(build.subprocess, "run", None)
    assert build.build("export_link") == tree / "build/export_link"
