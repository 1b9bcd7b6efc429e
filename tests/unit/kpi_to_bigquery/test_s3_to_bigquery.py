"""Files on S3 into the played BigQuery: events that come twice, late, together; small and large."""

import logging
import re
from datetime import UTC, datetime

import pytest

from common import aws
from kpi_to_bigquery import bigquery, kpis, source
from kpi_to_bigquery.bigquery import BigQuery
from kpi_to_bigquery.s3_to_bigquery import handler
from stack import GOOGLE_PROJECT
from tests.unit.kpi_to_bigquery.conftest import BUCKET, DAY, EARLY


def test_a_file_is_loaded_into_its_day_and_noted(world):
    before = datetime.now(UTC)
    world.notify([world.put("2026-11-21,old,1", day=EARLY)])
    notice = world.put(
        '2026-11-22,"渋谷, ""本店""\n2F",3',
        '2026-11-22,"",-5',
        "2026-11-22,\\N,\\N",
        rows="3",
        digest=kpis.digest(kpis.load("sales", world.folder).header),
    )
    (loaded,), again = world.notify([notice])
    assert again == []
    assert loaded == {"kpi": "sales", "day": "2026-11-22", "rows": 3, "job": loaded["job"]}
    assert re.fullmatch(r"kpi_sales_20261122_[0-9a-f]{16}", loaded["job"])
    assert set(world.rows()) == {
        (EARLY, "old", 1),
        (DAY, '渋谷, "本店"\n2F', 3),
        (DAY, "", -5),
        (DAY, None, None),
    }
    (_, (name, day, rows, at, where)) = world.rows("kpi_loads")
    version = notice["s3"]["object"]["versionId"]
    assert (name, day, rows) == ("sales", DAY, 3)
    assert where == f"kpi/sales/dt=2026-11-22/sales.csv {version}"
    assert before <= at <= datetime.now(UTC)
    table = world.warehouse.get_table(f"{GOOGLE_PROJECT}.{world.dataset}.sales")
    assert table.time_partitioning.field == "day"
    assert [(one.name, one.mode, one.description or "") for one in table.schema] == [
        ("day", "REQUIRED", ""),
        ("shop", "NULLABLE", "where"),
        ("sum", "NULLABLE", ""),
    ]
    dataset = world.warehouse.get_dataset(f"{GOOGLE_PROJECT}.{world.dataset}")
    assert dataset.location == "asia-northeast1"


def test_a_file_without_rows(world):
    world.notify([world.put("2026-11-22,a,1")])
    (loaded,), _ = world.notify([world.put()])
    assert loaded["rows"] == 0
    assert world.rows() == []


def test_a_run_of_the_same_day_replaces_that_day_and_nothing_else(world):
    world.notify([world.put("2026-11-21,a,1", day=EARLY)])
    world.notify([world.put("2026-11-22,a,1", "2026-11-22,b,2")])
    world.notify([world.put("2026-11-22,c,3")])
    assert world.rows() == [(EARLY, "a", 1), (DAY, "c", 3)]
    assert len(world.rows("kpi_loads")) == 3


def test_an_event_that_comes_twice_makes_one_job(world):
    notice = world.put("2026-11-22,a,1")
    one, other = world.notify([notice], [notice])[0]
    (later,), _ = world.notify([notice])
    assert one == other == later
    assert world.jobs() == [one["job"]]
    assert len(world.rows("kpi_loads")) == 1


def test_events_in_another_order_leave_the_newest(world):
    old = world.put("2026-11-22,old,1")
    new = world.put("2026-11-22,new,2")
    one, other = world.notify([new], [old])[0]
    assert one == other
    assert len(world.jobs()) == 1
    assert world.rows() == [(DAY, "new", 2)]


def meanwhile(monkeypatch, place, name, act):
    """Do something after the first call of a function, before its answer is used."""
    original, left = getattr(place, name), [act]

    def call(*arguments):
        answer = original(*arguments)
        if left:
            left.pop()()
        return answer

    monkeypatch.setattr(place, name, call)


def test_a_newer_version_that_comes_while_loading(world, monkeypatch):
    old = world.put("2026-11-22,old,1")
    meanwhile(monkeypatch, BigQuery, "wait", lambda: world.put("2026-11-22,new,2"))
    (loaded,), _ = world.notify([old])
    assert world.rows() == [(DAY, "new", 2)]
    assert world.jobs()[1:] == [loaded["job"]]


def test_an_old_load_that_ends_after_the_new_one(world, monkeypatch):
    old = world.put("2026-11-22,old,1")
    done = []

    def other_run():
        done.extend(world.notify([world.put("2026-11-22,new,2")])[0])

    meanwhile(monkeypatch, source, "read", other_run)
    (loaded,), _ = world.notify([old])
    assert world.rows() == [(DAY, "new", 2)]
    assert loaded["job"] == f"{done[0]['job']}-2"
    assert len(world.jobs()) == 3


def test_an_old_load_that_ends_last_in_a_run_that_breaks_off(world, monkeypatch):
    old = world.put("2026-11-22,old,1")
    new = []

    def other_run():
        new.append(world.put("2026-11-22,new,2"))
        world.notify([new[0]])

    def dies():
        raise RuntimeError("the run dies")

    meanwhile(monkeypatch, source, "read", other_run)
    with monkeypatch.context() as patch:
        # The other run waits for two jobs, of the file and of the note.
        waits = iter([None, None, dies])
        original = BigQuery.wait

        def wait(self, job_id):
            job = original(self, job_id)
            (next(waits) or (lambda: None))()
            return job

        patch.setattr(BigQuery, "wait", wait)
        assert world.notify([old]) == ([], ["m0"])
    assert world.rows() == [(DAY, "old", 1)]
    (loaded,), _ = world.notify([old])
    assert world.rows() == [(DAY, "new", 2)]
    assert loaded["job"].endswith("-2")


def test_without_versions_the_etag_tells_them_apart(world):
    world.notify([world.put("2026-11-22,kept,1", day=DAY)])
    aws.client("s3").put_bucket_versioning(
        Bucket=BUCKET, VersioningConfiguration={"Status": "Suspended"}
    )
    first = world.put("2026-11-22,a,1")
    (one,), _ = world.notify([first])
    (same,), _ = world.notify([first])
    (other,), _ = world.notify([world.put("2026-11-22,b,1")])
    assert one == same != other
    assert world.rows() == [(DAY, "b", 1)]


def test_by_hand_and_replayed(world):
    world.put("2026-11-21,a,1", day=EARLY)
    world.put("2026-11-22,b,1")
    keys = [kpis.key("sales", day) for day in (EARLY, DAY)]
    first = handler({"keys": keys}, world.context)["loaded"]
    assert handler({"key": keys[1]}, world.context)["loaded"] == first[1:]
    again = handler({"key": keys[1], "replay": True}, world.context)["loaded"]
    assert [one["job"] for one in again] == [f"{first[1]['job']}-2"]
    assert world.rows() == [(EARLY, "a", 1), (DAY, "b", 1)]
    assert len(world.rows("kpi_loads")) == 3


def lines(count):
    return [f"2026-11-22,shop {number},{number}" for number in range(count)]


@pytest.fixture
def parts(monkeypatch):
    monkeypatch.setattr(bigquery, "MULTIPART", 1000)
    monkeypatch.setattr(bigquery, "PART", 64 * 1024)


def test_a_large_file_with_503_in_the_middle(world, sandbox, parts, caplog):
    world.notify([world.put("2026-11-21,a,1", day=EARLY)])  # the dataset, and a token
    notice = world.put(*lines(8_000))
    with caplog.at_level(logging.WARNING):
        # The beginning and the first part are only kept waiting.
        sandbox.fault(service="bigquery-upload", delay=0.01, times=2)
        sandbox.fault(service="bigquery-upload", status=503, times=3)
        (loaded,), again = world.notify([notice])
    assert (loaded["rows"], again) == (8_000, [])
    assert caplog.text.count("a part was cut off") == 1
    assert sum(number for day, _, number in world.rows() if day == DAY) == sum(range(8_000))


def test_a_large_file_that_is_overwritten_while_it_is_sent(world, parts, monkeypatch):
    notice = world.put(*lines(8_000))
    meanwhile(monkeypatch, source, "read", lambda: world.put("2026-11-22,new,1"))
    (loaded,), again = world.notify([notice])
    assert (loaded["rows"], again) == (1, [])
    assert world.rows() == [(DAY, "new", 1)]
    assert world.jobs() == [loaded["job"]]


def test_a_large_file_into_a_dataset_that_is_missing(world, parts):
    (loaded,), _ = world.notify([world.put(*lines(4_000))])
    assert loaded["rows"] == 4_000


def test_control_characters_are_kept(world):
    assert world.notify([world.put('2026-11-22,"a\0\x01\x1fb",1')])[1] == []
    assert world.rows() == [(DAY, "a\0\x01\x1fb", 1)]
