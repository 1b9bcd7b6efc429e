import json
import logging
import math
import re
import time

import pytest
import requests
from hypothesis import given
from hypothesis import strategies as st
from mackerel.client import Client, MackerelClientError

from sandbox import mackerel

KEY = "a-key-of-the-tests"


def mackerel_client(server, key=KEY):
    return Client(
        mackerel_origin=server.url, mackerel_api_key=key, logger=logging.getLogger("mackerel")
    )


def point(name="a.b", at=None, value=1):
    return {"name": name, "time": int(time.time()) if at is None else at, "value": value}


def post(server, body, service="ore-no-service", key=KEY, **headers):
    return requests.post(
        f"{server.url}/api/v0/services/{service}/tsdb",
        data=body if isinstance(body, bytes) else json.dumps(body),
        headers={"X-Api-Key": key, "Content-Type": "application/json", **headers},
        timeout=10,
    )


def get(server, path, key=KEY, **query):
    return requests.get(
        f"{server.url}/api/v0/services/{path}",
        params=query,
        headers={"X-Api-Key": key},
        timeout=10,
    )


def test_the_official_client_posts(sandbox):
    before, now = sandbox.last(), int(time.time())
    points = [point(f"cognito.sign_in.{n}", now, n) for n in range(12, 18)]
    answer = mackerel_client(sandbox).post_service_metrics("ore-no-service", points)
    assert answer == {"success": True}
    (item,) = sandbox.inbox(after=before)
    assert item["channel"] == "mackerel"
    assert item["summary"] == "ore-no-service: cognito.sign_in.12 12 (+5 more points)"
    assert item["body"] == {"service": "ore-no-service", "points": points, "dropped": []}


@pytest.mark.parametrize("status", [403, 429, 500])
def test_the_official_client_meets_a_fault(sandbox, status):
    sandbox.fault(service="mackerel", status=status)
    with pytest.raises(MackerelClientError, match=str(status)):
        mackerel_client(sandbox).post_service_metrics("ore-no-service", [point()])


def test_the_official_client_with_a_wrong_key(sandbox):
    with pytest.raises(MackerelClientError, match="401"):
        mackerel_client(sandbox, "wrong").post_service_metrics("ore-no-service", [point()])


@pytest.mark.parametrize("key", ["", "wrong", KEY + "x", "鍵".encode()])
def test_a_wrong_key(sandbox, key):
    before = sandbox.last()
    for response in (post(sandbox, [point()], key=key), get(sandbox, "other/metric-names", key)):
        assert response.status_code == 401
        assert response.json() == {
            "error": {"message": "Authentication failed. Please try with valid Api Key."}
        }
    assert sandbox.inbox(after=before) == []


def test_no_key(sandbox):
    assert requests.post(f"{sandbox.url}/api/v0/services/other/tsdb", timeout=10).status_code == 401


def test_an_unknown_service(sandbox):
    for response in (
        post(sandbox, [point()], service="nobody"),
        get(sandbox, "nobody/metric-names"),
        get(sandbox, "nobody/metrics", name="a"),
    ):
        assert response.status_code == 404
        assert response.json() == {"error": {"message": "Service not found."}}


def test_an_unknown_route_answers_in_mackerels_shape(sandbox):
    response = requests.get(f"{sandbox.url}/api/v0/hosts", headers={"X-Api-Key": KEY}, timeout=10)
    assert (response.status_code, response.json()) == (
        404,
        {"error": {"message": "Resource not found."}},
    )


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"", "not valid JSON"),
        (b"[", "not valid JSON"),
        (b"\xff\xfe", "not valid JSON"),
        (b"[" * 100_000, "not valid JSON"),
        (b'[{"name": "a", "time": 1, "value": NaN}]', "not valid JSON"),
        (b'[{"name": "a", "time": 1, "value": 1' + b"0" * 5000 + b"}]", "not valid JSON"),
        (b'[{"name": "a", "time": 1, "value": 1e999}]', "'value'"),
        (b'[{"name": "a", "time": 1, "value": 1' + b"0" * 400 + b"}]", "'value'"),
        ({}, "list"),
        (None, "list"),
        ([1], "not an object"),
        ([point(), {"name": "a", "time": 1}], "Metric value 1: missing 'value'"),
        ([{**point(), "hostId": "x"}], "unknown key 'hostId'"),
        ([{**point(), "\ud800": "x"}], "unknown key"),
        ([point("a b")], "'name'"),
        ([point("a\n")], "'name'"),
        ([point("")], "'name'"),
        ([point("見守り")], "'name'"),
        ([point(name=1)], "'name'"),
        ([point(at="1")], "'time'"),
        ([point(at=1.0)], "'time'"),
        ([point(at=True)], "'time'"),
        ([point(at=2**63)], "'time'"),
        ([point(value="1")], "'value'"),
        ([point(value=None)], "'value'"),
        ([point(value=False)], "'value'"),
    ],
)
def test_a_bad_body(sandbox, body, words):
    before = sandbox.last()
    response = post(sandbox, body)
    assert response.status_code == 400
    assert words in response.json()["error"]["message"]
    assert sandbox.inbox(after=before) == []


@pytest.mark.parametrize("kind", ["", "text/plain", "application/x-www-form-urlencoded"])
def test_a_body_that_does_not_say_it_is_json(sandbox, kind):
    response = post(sandbox, [point()], **{"Content-Type": kind})
    assert response.status_code == 415
    assert "json" in response.json()["error"]["message"]


def test_a_content_type_with_a_charset(sandbox):
    assert post(sandbox, [], **{"Content-Type": "application/json; charset=utf-8"}).ok


def test_old_points_are_answered_well_and_dropped(sandbox):
    before, now = sandbox.last(), int(time.time())
    old, new = point("old", now - 24 * 3600 - 60), point("old", now - 24 * 3600 + 60)
    assert post(sandbox, [old, new], service="other").json() == {"success": True}
    (item,) = sandbox.inbox(after=before)
    assert item["body"] == {"service": "other", "points": [new], "dropped": [old]}
    assert item["summary"] == "other: old 1; 1 point dropped, older than 24 hours"
    found = get(sandbox, "other/metrics", name="old", **{"from": 0, "to": now}).json()
    assert found == {"metrics": [{"time": new["time"], "value": 1}]}


def test_reading_back_in_order_the_latest_value_of_a_time(sandbox):
    now = int(time.time())
    assert post(sandbox, [point("r", now, 1), point("r", now - 60, 2.5), point("s")]).ok
    assert post(sandbox, [point("r", now, 3)]).ok
    found = get(sandbox, "ore-no-service/metrics", name="r", **{"from": now - 60, "to": now})
    assert found.json() == {
        "metrics": [{"time": now - 60, "value": 2.5}, {"time": now, "value": 3}]
    }
    found = get(sandbox, "ore-no-service/metrics", name="r", **{"from": now - 59, "to": now + 9})
    assert found.json() == {"metrics": [{"time": now, "value": 3}]}
    assert {"r", "s"} <= set(get(sandbox, "ore-no-service/metric-names").json()["names"])
    missing = get(sandbox, "ore-no-service/metrics", name="zz", **{"from": 0, "to": 1})
    assert missing.status_code == 404
    for query in ({}, {"name": "r"}, {"name": "r", "from": 0}, {"name": "r", "from": 0, "to": "x"}):
        assert get(sandbox, "ore-no-service/metrics", **query).status_code == 400


def test_the_limit_of_posts_a_minute(start_sandbox, tmp_path):
    with start_sandbox(tmp_path, SANDBOX_MACKEREL_PER_MINUTE="3") as server:
        assert [post(server, [point()]).status_code for _ in range(4)] == [200, 200, 200, 429]
        assert "error" in post(server, [point()]).json()
        assert len(server.inbox()) == 3


names = st.from_regex(r"\A[a-zA-Z0-9._-]+\Z")
values = st.integers(-(2**70), 2**70) | st.floats(allow_nan=False, allow_infinity=False)
good = st.fixed_dictionaries(
    {"name": names, "time": st.integers(-(2**63), 2**63 - 1), "value": values}
)
anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)


@given(st.lists(good))
def test_every_good_body_is_read_as_it_is(points):
    assert mackerel.read_points(json.dumps(points).encode()) == points


@given(good, st.sampled_from(["name", "time", "value", "extra"]), anything)
def test_a_spoilt_field_is_refused_unless_it_is_right(spoilt, field, value):
    right = {
        "name": isinstance(value, str) and bool(re.fullmatch(r"[a-zA-Z0-9._-]+", value)),
        "time": type(value) is int and -(2**63) <= value < 2**63,
        "value": type(value) in (int, float) and math.isfinite(value),
        "extra": False,
    }[field]
    body = json.dumps([spoilt | {field: value}]).encode()
    if right:
        assert mackerel.read_points(body)
    else:
        with pytest.raises(mackerel.Refused) as caught:
            mackerel.read_points(body)
        status, message = caught.value.args
        assert status == 400
        assert field in message or "not valid JSON" in message


@given(st.binary() | anything.map(lambda value: json.dumps(value).encode()))
def test_any_body_is_a_list_or_one_clear_refusal(body):
    try:
        assert isinstance(mackerel.read_points(body), list)
    except mackerel.Refused as refused:
        status, message = refused.args
        assert status == 400
        assert message.isascii()
        assert message.isprintable()
