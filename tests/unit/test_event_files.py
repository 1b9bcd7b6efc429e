"""The events beside the functions, and those that the README shows, are what handlers take."""

import importlib
import json
import re
from pathlib import Path

import pytest

import build
from common.events import parse
from db_to_cloudwatch.queries import load, names

ROOT = Path(__file__).parents[2]
FILES = sorted(ROOT.glob("functions/*/events/**/*.json"))
README = (ROOT / "README.md").read_text(encoding="utf-8")


def function_of(file):
    """A capability of several functions has a folder of events for each."""
    return file.parts[-3] if file.parent.name == "events" else file.parent.name


def event_of(function, name="request"):
    """Return the payload's dataclass: the one that has the file's name, or `Event`."""
    module = importlib.import_module(build.handler(function).rpartition(".")[0])
    return getattr(module, name.capitalize(), None) or module.Event


@pytest.mark.parametrize("file", FILES, ids=lambda file: f"{function_of(file)}/{file.name}")
def test_an_event_file_is_taken(file):
    shape = event_of(function_of(file), file.stem)
    parse(shape, json.loads(file.read_text(encoding="utf-8")))


def test_every_function_that_is_invoked_by_hand_has_an_event_file():
    # phone_callback is called by Twilio and the table's stream, export_link by API Gateway alone.
    by_hand = {*build.functions()} - {"phone_callback", "export_link"}
    assert {function_of(file) for file in FILES} == by_hand


def read(event):
    """Return what an event reads of the metrics of queries in the tree, and how they are put."""
    metrics = [*event.get("metrics", [])]
    metrics += [one for graph in event.get("graphs", []) for one in graph["metrics"]]
    headers = {header.namespace: header for header in (load(name).header for name in names())}
    return [
        (one["dimensions"], headers[one["namespace"]].dimensions)
        for one in metrics
        if one.get("namespace") in headers
    ]


@pytest.mark.parametrize("function", ["cloudwatch_to_mackerel", "cloudwatch_to_slack"])
def test_an_event_file_reads_what_the_queries_put(function):
    """CloudWatch has no data for a set of dimensions that is not whole."""
    events = [json.loads(file.read_text()) for file in FILES if function_of(file) == function]
    found = [pair for event in events for pair in read(event)]
    assert found
    for dimensions, declared in found:
        assert dimensions == {"Environment": "local"} | declared


def sections():
    return re.findall(r"(?ms)^## (\w+)$(.*?)(?=^## )", README)


def test_the_readmes_payloads_are_taken():
    shown = [
        (function or section, payload or piped)
        for section, text in sections()
        for payload, piped, function in re.findall(
            r"(?ms)^```json\n(.*?)^```|^echo '(.*?)'(?:[^\n]*FUNCTION=(\w+))?", text
        )
    ]
    assert len(shown) >= 2
    for function, payload in shown:
        parse(event_of(function), json.loads(payload))
    found = [pair for _, payload in shown for pair in read(json.loads(payload))]
    assert found
    for dimensions, declared in found:
        assert dimensions == {"Environment": "production"} | declared


def test_the_readmes_queries_are_taken(tmp_path):
    readers = {
        "db_to_cloudwatch": "db_to_cloudwatch.queries",
        "data_export": "data_export.request",
        "kpi_to_bigquery": "kpi_to_bigquery.kpis",
    }
    shown = {
        section: sql
        for section, text in sections()
        for sql in re.findall(r"(?ms)^```sql\n(.*?)^```", text)
    }
    assert shown.keys() == readers.keys()
    for section, sql in shown.items():
        (tmp_path / "shown.sql").write_text(sql, encoding="utf-8")
        importlib.import_module(readers[section]).load("shown", tmp_path)
