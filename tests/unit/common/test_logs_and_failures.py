import json
import logging
import subprocess
import sys

import pytest

from common import failures, logs


def test_json_lines_where_the_runtime_installs_no_handler():
    code = """if True:
        import logging
        from common import logs
        logs.set_up()
        logs.set_up()
        logging.getLogger("x").info("posted %d", 3, extra={"service": "見守り"})
        logging.getLogger("botocore").info("noise")
    """
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={"PYTHONPATH": "functions", "PYTHONIOENCODING": "utf-8"},
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=True,
    )
    (line,) = done.stderr.splitlines()
    said = json.loads(line)
    assert said.pop("timestamp").endswith("+00:00")
    assert said == {"level": "INFO", "logger": "x", "message": "posted 3", "service": "見守り"}


def test_the_runtimes_own_handler_is_left_alone(monkeypatch):
    own = logging.NullHandler()
    root = logging.getLogger()
    monkeypatch.setattr(root, "handlers", [own])
    logs.set_up()
    assert root.handlers == [own]


def test_no_failure_no_error():
    failures.raise_for({}, tried=3)


def test_every_failure_is_logged_and_named(caplog):
    with pytest.raises(failures.RunFailed, match=r"^2 of 3 failed: a: no; b: never$"):
        failures.raise_for({"a": "no", "b": ValueError("never")}, tried=3)
    assert [record.item for record in caplog.records] == ["a", "b"]
