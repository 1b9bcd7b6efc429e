import ast
import contextlib
import json
import logging
import os
import subprocess
import sys
from pathlib import Path

import pytest
from awslambdaric.lambda_runtime_log_utils import JsonFormatter

from common import failures, logs
from lambda_runtime.sitecustomize import LambdaHandler

FUNCTIONS = Path(__file__).parents[3] / "functions"


def run(code, **environ):
    """Run code as the laptop's AWS runs a function; return what went to standard error."""
    environ |= {"PYTHONPATH": f"local/lambda_runtime{os.pathsep}functions"}
    return subprocess.run(
        [sys.executable, "-c", code],
        env=environ,
        cwd=FUNCTIONS.parent,
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=False,
    ).stderr


def test_on_the_laptop_the_lines_are_those_of_lambda():
    code = """if True:
        import logging
        from common import logs
        logs.set_up()
        logs.set_up()
        logging.getLogger("x").info("posted %d", 3, extra={"service": "見守り\\ud800"})
        logging.getLogger("botocore").info("noise")
    """
    (line,) = run(code, AWS_LAMBDA_FUNCTION_NAME="any").splitlines()
    assert line.endswith('"service": "見守り\\ud800"}')
    said = json.loads(line)
    assert said.pop("timestamp").endswith("Z")
    assert said.pop("service") == "見守り\ud800"
    assert said == {"level": "INFO", "logger": "x", "message": "posted 3"}
    assert run(code) == ""  # no function


@pytest.mark.parametrize("value", ["object()", "'\\ud800'"])
def test_the_laptop_raises_what_lambda_raises(value):
    code = f"import logging; logging.warning('x', extra={{'a': {value}}})"
    said = run(code, AWS_LAMBDA_FUNCTION_NAME="any")
    assert said.splitlines()[-1].startswith(("TypeError: ", "UnicodeEncodeError: "))


@contextlib.contextmanager
def only(handler):
    """Let the root logger have one handler alone."""
    root = logging.getLogger()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(root, "handlers", [handler])
        yield


def test_no_text_is_too_odd_to_be_logged():
    lines = []
    handler = LambdaHandler()
    handler.write = lines.append
    log = logging.getLogger("any")
    with only(handler):
        with pytest.raises(UnicodeEncodeError):
            log.warning("\ud800")
        logs.set_up()
        logs.set_up()
        log.warning("\ud800 %s", "\udfff", extra={"\ud801": {"\ud802": "\ud803"}})
        try:
            int("\ud804")
        except ValueError:
            log.exception("failed")
    one, other = (json.loads(line) for line in lines)
    assert (one["message"], one["\ud801"]) == ("\ud800 \udfff", {"\ud802": "\ud803"})
    assert other["errorMessage"].endswith("\\ud804'")


def names_in(tree, node):
    """Return the keys of an `extra`, as far as they are written down where it is."""
    match node:
        case ast.Dict():
            return {key.value for key in node.keys if isinstance(key, ast.Constant)}
        case ast.BinOp():
            return names_in(tree, node.left) | names_in(tree, node.right)
        case ast.Name():
            given = [
                one.value
                for one in ast.walk(tree)
                if isinstance(one, ast.Assign)
                for target in one.targets
                if isinstance(target, ast.Name) and target.id == node.id
            ]
            return set().union(*(names_in(tree, value) for value in given if value is not node))
    return set()


def test_no_extra_has_a_name_that_lambdas_line_has_of_its_own():
    """A unit test's log refuses them, too: those that are made as it runs."""
    lost, names = [], set()
    for file in sorted(FUNCTIONS.rglob("*.py")):
        tree = ast.parse(file.read_text(encoding="utf-8"))
        calls = [one for one in ast.walk(tree) if isinstance(one, ast.Call)]
        for extra in (word for call in calls for word in call.keywords if word.arg == "extra"):
            found = names_in(tree, extra.value)
            names |= found
            lost += [f"{file.name}:{extra.lineno}: {name}" for name in found if not kept(name)]
    assert lost == []
    assert {"job_id", "reason", "rows"} <= names
    assert not kept("location")
    assert not kept("process")


def kept(name):
    """Tell whether a field of this name comes out as it was given."""
    try:
        record = logging.getLogger("any").makeRecord(
            "any", logging.INFO, "", 0, "", (), None, extra={name: "given"}
        )
    except KeyError:  # logging refuses it
        return False
    return json.loads(JsonFormatter().format(record)).get(name) == "given"


def test_no_failure_no_error():
    failures.raise_for({}, tried=3)


def test_every_failure_is_logged_and_named(caplog):
    with pytest.raises(failures.RunFailed, match=r"^2 of 3 failed: a: no; b: never$"):
        failures.raise_for({"a": "no", "b": ValueError("never")}, tried=3)
    assert [record.item for record in caplog.records] == ["a", "b"]
