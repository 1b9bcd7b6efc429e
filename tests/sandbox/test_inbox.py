import time
from datetime import datetime

import pytest
import requests

from sandbox.inbox import open_inbox


def post(server, *names):
    return requests.post(
        f"{server.url}/api/v0/services/ore-no-service/tsdb",
        json=[{"name": name, "time": int(time.time()), "value": 1} for name in names],
        headers={"X-Api-Key": "a-key-of-the-tests"},
        timeout=10,
    )


def test_health(sandbox):
    response = requests.get(f"{sandbox.url}/health", timeout=10)
    assert (response.status_code, response.json()) == (200, {"ok": True})


def test_items_have_the_agreed_fields_and_come_newest_last(sandbox):
    before = sandbox.last()
    for name in ("one", "two", "three"):
        assert post(sandbox, name).ok
    items = sandbox.inbox(after=before)
    assert [item["body"]["points"][0]["name"] for item in items] == ["one", "two", "three"]
    assert [item["id"] for item in items] == [before + 1, before + 2, before + 3]
    for item in items:
        assert set(item) == {"id", "received_at", "channel", "summary", "body"}
        assert datetime.fromisoformat(item["received_at"]).tzinfo
    assert sandbox.inbox(after=before, limit=2) == items[:2]
    assert sandbox.inbox(limit=2) == items[1:]
    assert sandbox.inbox(after=before, channel="mackerel") == items
    assert sandbox.inbox(after=before, channel="slack") == []
    assert sandbox.inbox(after=before + 3) == []


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("limit=0", "limit"),
        ("limit=-1", "limit"),
        ("limit=ten", "limit"),
        ("limit=1_0", "limit"),
        ("limit=", "limit"),
        ("limit=" + "9" * 5000, "limit"),
        ("after=9999999999999999999", "after"),
        ("after=1.5", "after"),
        ("after=%EF%BC%91", "after"),
        ("after=1&after=2", "after"),
        ("channel=", "channel"),
        ("chanel=mackerel", "chanel"),
    ],
)
def test_bad_query_names_the_field(sandbox, query, field):
    response = requests.get(f"{sandbox.url}/inbox?{query}", timeout=10)
    assert response.status_code == 400
    assert response.json()["field"] == field
    assert response.json()["error"].startswith(f"{field}: takes ")


def test_survives_a_restart(start_sandbox, tmp_path):
    with start_sandbox(tmp_path) as server:
        assert post(server, "kept").ok
        kept = server.inbox()
    with start_sandbox(tmp_path) as server:
        assert server.inbox() == kept
        assert post(server, "more").ok
        assert [item["id"] for item in server.inbox()] == [1, 2]
        response = requests.get(
            f"{server.url}/api/v0/services/ore-no-service/metric-names",
            headers={"X-Api-Key": "a-key-of-the-tests"},
            timeout=10,
        )
        assert response.json() == {"names": ["kept", "more"]}


def test_what_utf8_cannot_say_does_not_break_the_inbox(tmp_path):
    inbox = open_inbox(tmp_path)
    inbox.add("x", "lone \ud800", {"\udfff": "見守り"})
    (item,) = inbox.items()
    assert (item.summary, item.body) == ("lone ?", {"?": "見守り"})


@pytest.mark.parametrize(
    "missing", ["SANDBOX_DIR", "SANDBOX_MACKEREL_API_KEY", "SANDBOX_AWS_ENDPOINT"]
)
def test_a_missing_setting_is_named(start_sandbox, tmp_path, missing):
    with (
        pytest.raises(AssertionError, match=f"needs the environment variable {missing}"),
        start_sandbox(tmp_path, **{missing: ""}),
    ):
        pass
