"""The events beside the functions, and those that the README shows, are what handlers take."""

import importlib
import json
import re
from pathlib import Path

import pytest

from common.events import parse

ROOT = Path(__file__).parents[2]
FILES = sorted(ROOT.glob("functions/*/events/*.json"))
README = (ROOT / "README.md").read_text(encoding="utf-8")


def event_of(capability):
    return importlib.import_module(f"{capability}.handler").Event


@pytest.mark.parametrize("file", FILES, ids=lambda file: f"{file.parts[-3]}/{file.name}")
def test_an_event_file_is_taken(file):
    parse(event_of(file.parts[-3]), json.loads(file.read_text(encoding="utf-8")))


def test_every_function_has_an_event_file():
    handlers = {path.parent.name for path in ROOT.glob("functions/*/handler.py")}
    assert {file.parts[-3] for file in FILES} == handlers


def test_the_readmes_payloads_are_taken():
    blocks = re.findall(r"(?ms)^## (\w+)$(.*?)(?=^## )", README)
    shown = [
        (section, payload)
        for section, text in blocks
        for payload in re.findall(r"(?ms)^```json\n(.*?)^```|^echo '(.*?)'", text)
    ]
    assert len(shown) >= 2
    for section, alternatives in shown:
        parse(event_of(section), json.loads("".join(alternatives)))


def test_the_readmes_query_is_taken(tmp_path):
    queries = importlib.import_module("db_to_cloudwatch.queries")
    (sql,) = re.findall(r"(?ms)^```sql\n(.*?)^```", README)
    (tmp_path / "shown.sql").write_text(sql, encoding="utf-8")
    assert queries.load("shown", tmp_path).header.namespace == "RDS/ORDERS"
