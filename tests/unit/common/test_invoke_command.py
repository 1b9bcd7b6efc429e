"""What make invoke prints."""

import io
import json

import pytest

import invoke


@pytest.mark.parametrize("terminal", [True, False])
def test_an_answer_is_in_lines_for_people(monkeypatch, capsys, terminal):
    answer = {"kind": "見守り", "left": [{"name": "a"}]}
    monkeypatch.setattr(invoke.environment, "functions", lambda *_: {})
    monkeypatch.setattr(invoke.environment, "shell", lambda _: {})
    monkeypatch.setattr(invoke, "invoke", lambda *_: answer)
    monkeypatch.setattr("sys.stdin", io.StringIO("{}"))
    monkeypatch.setattr(invoke.sys.stdout, "isatty", lambda: terminal)
    invoke.main("local", "env_scheduler")
    shown = capsys.readouterr().out
    assert json.loads(shown) == answer
    assert "見守り" in shown
    assert (shown.count("\n") > 1) == terminal
