import time

import pytest
import requests

BAD = [
    ([], "body"),
    ("x", "body"),
    ({}, "service"),
    ({"status": 500}, "service"),
    ({"service": "slacc", "status": 500}, "service"),
    ({"service": ["mackerel"], "status": 500}, "service"),
    ({"service": "mackerel"}, "status"),
    ({"service": "mackerel", "status": "500"}, "status"),
    ({"service": "mackerel", "status": 200}, "status"),
    ({"service": "mackerel", "status": 600}, "status"),
    ({"service": "mackerel", "status": True}, "status"),
    ({"service": "mackerel", "status": None}, "status"),
    ({"service": "mackerel", "status": 500, "times": 0}, "times"),
    ({"service": "mackerel", "status": 500, "times": 1.0}, "times"),
    ({"service": "mackerel", "status": 500, "times": True}, "times"),
    ({"service": "mackerel", "status": 500, "time": 1}, "time"),
    ({"service": "mackerel", "status": 500, "\ud800": 1}, "?"),
    ({"service": "mackerel", "delay": 0}, "delay"),
    ({"service": "mackerel", "delay": -1}, "delay"),
    ({"service": "mackerel", "delay": "1"}, "delay"),
    ({"service": "mackerel", "delay": 301}, "delay"),
    ({"service": "mackerel", "delay": float("nan")}, "delay"),
    ({"service": "mackerel", "delay": 1, "message": "x"}, "message"),
    ({"service": "mackerel", "status": 500, "message": 1}, "message"),
    ({"service": "mackerel", "status": 500, "headers": ["Retry-After"]}, "headers"),
    ({"service": "mackerel", "status": 500, "headers": {"Retry-After": 1}}, "headers"),
    ({"service": "mackerel", "status": 500, "headers": {"Retry After": "1"}}, "headers"),
    ({"service": "mackerel", "status": 500, "headers": {"X": "a\r\nY: b"}}, "headers"),
    ({"service": "mackerel", "status": 500, "headers": {"Content-Length": "1"}}, "headers"),
]


def names(server, **options):
    return requests.get(
        f"{server.url}/api/v0/services/ore-no-service/metric-names",
        headers={"X-Api-Key": "a-key-of-the-tests"},
        **{"timeout": 10, **options},
    )


def post(server, name, timeout=10):
    return requests.post(
        f"{server.url}/api/v0/services/ore-no-service/tsdb",
        json=[{"name": name, "time": int(time.time()), "value": 1}],
        headers={"X-Api-Key": "a-key-of-the-tests"},
        timeout=timeout,
    )


@pytest.mark.parametrize(("fault", "field"), BAD)
def test_bad_fault_names_the_field(sandbox, fault, field):
    response = (
        requests.post(f"{sandbox.url}/faults", json=fault, timeout=10)
        if ("nan" not in str(fault))
        else requests.post(
            f"{sandbox.url}/faults",
            data='{"service": "mackerel", "delay": NaN}',
            timeout=10,
        )
    )
    assert response.status_code == 400
    assert response.json()["field"] == field


@pytest.mark.parametrize("body", [b"", b"{", b"\xff", b"[" * 100_000])
def test_a_body_that_is_no_json(sandbox, body):
    response = requests.post(f"{sandbox.url}/faults", data=body, timeout=10)
    assert (response.status_code, response.json()["field"]) == (400, "body")


def test_the_next_requests_fail_then_all_is_well(sandbox):
    before = sandbox.last()
    sandbox.fault(
        service="mackerel", status=503, times=2, headers={"Retry-After": "1"}, message="Down."
    )
    for _ in range(2):
        response = post(sandbox, "x")
        assert response.status_code == 503
        assert response.json() == {"error": {"message": "Down."}}
        assert response.headers["Retry-After"] == "1"
    assert post(sandbox, "x").ok
    assert len(sandbox.inbox(after=before)) == 1


def test_faults_queue_by_service_and_can_be_listed_and_cleared(sandbox):
    sandbox.fault(service="cloudwatch", status=500)
    sandbox.fault(service="mackerel", status=500)
    sandbox.fault(service="mackerel", status=403, times=3)
    assert requests.get(f"{sandbox.url}/faults", timeout=10).json() == [
        {"service": "cloudwatch", "times": 1, "status": 500},
        {"service": "mackerel", "times": 1, "status": 500},
        {"service": "mackerel", "times": 3, "status": 403},
    ]
    # The sandbox's own pages meet no fault.
    for path in ("/", "/health", "/inbox"):
        assert requests.get(sandbox.url + path, timeout=10).ok
    assert [names(sandbox).status_code for _ in range(2)] == [500, 403]
    assert requests.get(f"{sandbox.url}/faults", timeout=10).json() == [
        {"service": "cloudwatch", "times": 1, "status": 500},
        {"service": "mackerel", "times": 2, "status": 403},
    ]
    assert requests.delete(f"{sandbox.url}/faults", timeout=10).json() == {"cleared": 2}
    assert names(sandbox).ok


def test_a_delayed_request_is_handled_for_a_client_that_waits(sandbox):
    before = sandbox.last()
    sandbox.fault(service="mackerel", delay=0.3)
    begun = time.monotonic()
    assert post(sandbox, "late").ok
    assert time.monotonic() - begun >= 0.3
    assert len(sandbox.inbox(after=before)) == 1


def test_a_delayed_request_of_a_client_that_left_never_happened(sandbox):
    before = sandbox.last()
    sandbox.fault(service="mackerel", delay=0.5, times=2)
    with pytest.raises(requests.Timeout):
        post(sandbox, "gave-up", timeout=0.2)
    # This one ends after the first would have been handled.
    assert post(sandbox, "waited").ok
    assert [item["body"]["points"][0]["name"] for item in sandbox.inbox(after=before)] == ["waited"]


def test_a_delay_may_end_in_a_refusal(sandbox):
    sandbox.fault(service="mackerel", delay=0.1, status=500)
    assert post(sandbox, "x").status_code == 500
