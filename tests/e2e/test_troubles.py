"""What breaks outside: Mackerel, CloudWatch, the database, the laptop itself."""

import json
import os
import signal

import pytest

import lifecycle
from tests.support import until

pytestmark = pytest.mark.usefixtures("quiet", "no_faults", "signed_in")
POST = {"mackerel_service": "ore-no-service"}


def test_mackerel_answers_500_twice_then_takes_it(laptop):
    laptop.fault(service="mackerel", status=500, times=2)
    before = laptop.newest()
    assert laptop.answer("cloudwatch_to_mackerel", **POST)["posted"] > 0
    assert len(laptop.inbox(before)) == 1


def test_mackerel_asks_to_wait(laptop):
    laptop.fault(service="mackerel", status=429, headers={"Retry-After": "1"})
    assert laptop.answer("cloudwatch_to_mackerel", **POST)["posted"] > 0


def test_mackerel_is_silent_past_the_time_limit_then_answers(laptop):
    laptop.fault(service="mackerel", delay=12)
    before = laptop.newest()
    assert laptop.answer("cloudwatch_to_mackerel", **POST)["posted"] > 0
    assert len(laptop.inbox(before)) == 1


def test_mackerel_says_403_once_and_for_all(laptop):
    laptop.fault(service="mackerel", status=403, message="the key may only read")
    before = laptop.newest()
    done = laptop.invoke("cloudwatch_to_mackerel", **POST)
    assert done.returncode != 0
    assert "HTTP 403" in done.stderr
    assert "the key may only read" in done.stderr
    assert not laptop.inbox(before)


def test_an_unknown_service_and_a_wrong_key_in_mackerels_words(laptop):
    done = laptop.invoke("cloudwatch_to_mackerel", mackerel_service="nobodys")
    assert done.returncode != 0
    assert "HTTP 404" in done.stderr
    secret = laptop.stack.secrets().mackerel_api_key
    laptop.make("secret", "NAME=MACKEREL_API_KEY", stdin="wrong")
    try:
        done = laptop.invoke("cloudwatch_to_mackerel", **POST)
    finally:
        laptop.make("secret", "NAME=MACKEREL_API_KEY", stdin=secret)
    assert done.returncode != 0
    assert "HTTP 401" in done.stderr
    assert "Authentication failed" in done.stderr


def test_the_same_event_twice_leaves_each_point_once(laptop):
    before = laptop.newest()
    for _ in range(2):
        laptop.answer("cloudwatch_to_mackerel", **POST)
    first, second = (item["body"]["points"] for item in laptop.inbox(before))
    assert first == second
    name = {point["name"] for point in first if point["name"].endswith("sign_in.attempt")}.pop()
    stored = laptop.run("curl", "-s", *_metrics_of(laptop, name)).stdout
    times = [point["time"] for point in json.loads(stored)["metrics"]]
    assert len(times) == len(set(times))


def _metrics_of(laptop, name):
    service = f"{laptop.stack.sandbox_url}/api/v0/services/ore-no-service/metrics"
    key = laptop.stack.secrets().mackerel_api_key
    return "-H", f"X-Api-Key: {key}", f"{service}?name={name}&from=0&to=9999999999"


def test_cloudwatch_denies(laptop):
    before = laptop.newest()
    with laptop.denied("cloudwatch_to_mackerel", "cloudwatch:GetMetricData"):
        done = laptop.invoke("cloudwatch_to_mackerel", **POST)
    assert done.returncode != 0
    assert "AccessDenied" in done.stderr
    assert "GetMetricData" in done.stderr
    assert not laptop.inbox(before)


def test_the_database_is_stopped_and_comes_back(laptop):
    laptop.answer("db_to_cloudwatch")
    lifecycle.control(laptop.stack, "stop", "mariadb")
    try:
        done = laptop.invoke("db_to_cloudwatch")
        assert done.returncode != 0
        assert "2 of 2 failed: orders.sql: " in done.stderr
        assert "Can't connect to MySQL server" in done.stderr
    finally:
        lifecycle.control(laptop.stack, "start", "mariadb")
    assert laptop.answer("db_to_cloudwatch")["metrics"] == 3


def test_a_warm_connection_that_the_server_closed_is_made_anew(laptop):
    laptop.answer("db_to_cloudwatch")
    with laptop.stack.connect("admin") as connection, connection.cursor() as cursor:
        cursor.execute("SELECT id FROM information_schema.processlist WHERE user LIKE '%reader'")
        warm = [row[0] for row in cursor.fetchall()]
        assert warm
        for process in warm:
            cursor.execute(f"KILL {process}")
    assert laptop.answer("db_to_cloudwatch")["metrics"] == 3


def test_a_query_that_fails_is_named_and_the_other_is_sent(laptop):
    with laptop.stack.connect("admin") as connection, connection.cursor() as cursor:
        cursor.execute("RENAME TABLE orders TO orders_away")
        try:
            done = laptop.invoke("db_to_cloudwatch")
        finally:
            cursor.execute("RENAME TABLE orders_away TO orders")
    assert done.returncode != 0
    assert "1 of 2 failed: orders.sql: " in done.stderr
    assert "service.orders' doesn't exist" in done.stderr
    assert '"metrics": 1' in done.stderr


def test_a_slow_query_is_ended_by_the_server(laptop):
    """The tables are locked for longer than the query's own time limit of 10 seconds."""
    with laptop.stack.connect("admin") as connection, connection.cursor() as cursor:
        cursor.execute("LOCK TABLES users WRITE")
        done = laptop.invoke("db_to_cloudwatch", queries=["users"])
        cursor.execute("UNLOCK TABLES")
    assert done.returncode != 0
    assert "1 of 1 failed: users.sql: " in done.stderr
    assert "max_statement_time exceeded" in done.stderr


def test_half_dead_stacks_are_mended_by_make_up(laptop):
    """The laptop's AWS is killed and comes back empty: everything in it is made again."""
    (ministack,) = [row for row in lifecycle.status(laptop.stack) if row.name == "ministack"]
    os.kill(ministack.pid, signal.SIGKILL)
    until(
        lambda: any(
            row.state == "RUNNING" and row.pid != ministack.pid
            for row in lifecycle.status(laptop.stack)
            if row.name == "ministack"
        ),
        20,
    )
    done = laptop.make("up")
    assert done.returncode == 0, done.stdout + done.stderr
    assert laptop.answer("db_to_cloudwatch")["metrics"] == 3
    laptop.answer("cloudwatch_to_mackerel", **POST)
