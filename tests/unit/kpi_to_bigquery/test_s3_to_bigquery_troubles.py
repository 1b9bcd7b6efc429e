"""Events, files and schemas that are wrong, and services that fail: what is done, and said."""

import json
import re
from types import SimpleNamespace

import pytest
from botocore.exceptions import ClientError
from hypothesis import given
from hypothesis import strategies as st

from common import aws, parameters
from common.events import InvalidEvent
from common.failures import RunFailed
from kpi_to_bigquery import bigquery, kpis, loads, s3_to_bigquery, source
from kpi_to_bigquery.bigquery import File, Job, LoadFailed
from kpi_to_bigquery.s3_to_bigquery import handler
from stack import GOOGLE_PROJECT
from tests.unit.kpi_to_bigquery.conftest import BUCKET, DAY, EARLY, SALES


@pytest.mark.parametrize(
    "event",
    [{}, {"key": "a", "keys": ["b"]}, {"keys": []}, {"key": 1}, {"file": "x"}],
    ids=range(5),
)
def test_a_payload_that_is_none(world, event):
    with pytest.raises(InvalidEvent):
        handler(event, world.context)


def test_one_failure_keeps_no_other_from_its_turn(world, caplog):
    good, bad = world.put("2026-11-21,a,1", day=EARLY), world.put("2026-11-22,b,many")
    foreign = {"eventName": "ObjectCreated:Put", "s3": {"bucket": {"name": "other"}}}
    removed = world.put("2026-11-22,c,1", name="gone") | {"eventName": "ObjectRemoved:Delete"}
    elsewhere = json.loads(json.dumps(good))
    elsewhere["s3"]["object"]["key"] = "raw/sales.csv"
    test = json.dumps({"Service": "Amazon S3", "Event": "s3:TestEvent", "Bucket": BUCKET})
    messages = ([bad], test, [elsewhere, good], "no JSON", [foreign], [removed], [good], "[]", [{}])
    loaded, again = world.notify(*messages)
    assert again == ["m0", "m2", "m3", "m4", "m5", "m7", "m8"]
    assert [one["day"] for one in loaded] == ["2026-11-21"] * 2
    for words in ("raw/sales.csv", "bucket: got 'other'", "got 'ObjectRemoved:Delete'"):
        assert words in caplog.text


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["Records", "eventName", "s3", "object", "key", "Event"]), inner
        )
    ),
)


@given(body=JSON.map(json.dumps) | st.text())
def test_a_message_that_is_none_fails_alone(body):
    context = SimpleNamespace(get_remaining_time_in_millis=lambda: 30_000)
    with pytest.MonkeyPatch.context() as patch:
        for name in ("KPI_BUCKET", *(f"BIGQUERY_{n}" for n in ("PROJECT", "DATASET", "LOCATION"))):
            patch.setenv(name, "x")
        patch.setattr(s3_to_bigquery, "_later", lambda _: None)
        records = [{"messageId": "m0", "eventSource": "aws:sqs", "body": body}]
        answer = handler({"Records": records}, context)
    assert answer["loaded"] == []
    assert answer["batchItemFailures"] in ([], [{"itemIdentifier": "m0"}])


def test_a_bad_value_is_named_with_row_and_column(world):
    world.put("2026-11-22,a,1", "2026-11-22,b,many")
    with pytest.raises(RunFailed) as failure:
        handler({"key": kpis.key("sales", DAY)}, world.context)
    for words in ("line_number: 3", 'column_name: "sum"', "INT64", 'value: "many"', "invalid"):
        assert words in str(failure.value)
    with pytest.raises(Exception, match="Not found"):
        world.rows()


def test_what_is_not_loaded_comes_again_soon(world):
    notice = world.put("2026-11-22,a,many")
    assert world.notify([notice]) == ([], ["m0"])
    assert world.hidden == [("queue", "r0", 120)]  # the second time


def test_a_row_of_another_day_is_refused(world):
    world.put("2026-11-21,a,1")
    with pytest.raises(RunFailed, match="different partitions"):
        handler({"key": kpis.key("sales", DAY)}, world.context)


def test_a_column_that_is_added(world):
    world.notify([world.put("2026-11-21,a,1", day=EARLY)])
    world.declare(SALES.replace("*/", '[columns.tax]\ntype = "NUMERIC"\n*/'))
    world.notify([world.put("2026-11-22,b,2,0.1", head='"day","shop","sum","tax"\r\n')])
    shown = [(day, shop, number, tax and str(tax)) for day, shop, number, tax in world.rows()]
    assert shown == [(EARLY, "a", 1, None), (DAY, "b", 2, "0.1")]


@pytest.mark.parametrize(
    ("before", "after", "row", "words"),
    [
        ('"INT64"', '"STRING"', "a,x", ["sum", "from INTEGER to STRING"]),
        ('[columns.sum]\ntype = "INT64"\n', "", "a", ["sum", "missing in new schema"]),
    ],
    ids=["another type", "a column less"],
)
def test_a_schema_that_does_not_fit_the_table_and_its_mending(world, before, after, row, words):
    world.notify([world.put("2026-11-21,a,1", day=EARLY)])
    world.declare(SALES.replace(before, after))
    notice = world.put(f"2026-11-22,{row}")
    for _ in range(2):
        with pytest.raises(RunFailed) as failure:
            handler({"key": kpis.key("sales", DAY)}, world.context)
        for word in [*words, f"{world.dataset}.sales"]:
            assert word in str(failure.value)
    assert world.rows() == [(EARLY, "a", 1)]
    world.warehouse.delete_table(f"{GOOGLE_PROJECT}.{world.dataset}.sales")
    (loaded,), _ = world.notify([notice])
    assert loaded["job"].endswith("-3")
    assert len(world.rows()) == 1


def test_a_file_of_other_columns_is_refused(world):
    world.put("2026-11-22,a,1", digest="0" * 64)
    with pytest.raises(RunFailed, match=r"other columns: run kpi_to_s3 for 2026-11-22"):
        handler({"key": kpis.key("sales", DAY)}, world.context)
    assert world.jobs() == []


def test_rows_that_are_fewer_than_in_the_file_are_noticed(world):
    world.put("2026-11-22,a,1", rows="2")
    with pytest.raises(RunFailed, match="loaded 1 rows, the file has 2"):
        handler({"key": kpis.key("sales", DAY)}, world.context)


@pytest.mark.parametrize("service", ["google-sts", "google-iam", "bigquery", "bigquery-upload"])
def test_a_service_that_fails_for_a_while(world, sandbox, service):
    notice = world.put("2026-11-22,a,1")
    sandbox.fault(service=service, status=503, times=2)
    loaded, again = world.notify([notice])
    assert (len(loaded), again) == (1, [])


def test_a_token_that_google_no_longer_knows(world, sandbox):
    world.notify([world.put("2026-11-22,a,1")])
    sandbox.fault(service="bigquery", status=401)
    loaded, again = world.notify([world.put("2026-11-22,b,1")])
    assert (len(loaded), again) == (1, [])


def test_a_role_that_is_not_let_in_is_named(world, put_parameter, sandbox, caplog):
    notice = world.put("2026-11-22,a,1")
    words = "permission denied: the assumed role is not let in"
    sandbox.fault(service="google-sts", status=401, message=words)
    assert world.notify([notice]) == ([], ["m0"])
    for part in (words, "Google gives the AWS role arn:aws:", "roles/iam.workloadIdentityUser"):
        assert part in caplog.text


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (parameters.PLACEHOLDER, "has no value yet"),
        ("not JSON", "GOOGLE_CREDENTIALS: is no JSON"),
        ("[]", "GOOGLE_CREDENTIALS: got '…', takes a JSON object"),
        ("{}", "GOOGLE_CREDENTIALS: type: missing"),
        (None, "/test/myApp/GOOGLE_CREDENTIALS does not exist"),
    ],
    ids=["unfilled", "no JSON", "no object", "empty", "absent"],
)
def test_credentials_that_are_none(world, put_parameter, value, words):
    world.put("2026-11-22,a,1")
    aws.client("ssm").delete_parameter(Name="/test/myApp/GOOGLE_CREDENTIALS")
    if value is not None:
        put_parameter("GOOGLE_CREDENTIALS", value)
    with pytest.raises(RunFailed, match=re.escape(words)):
        handler({"key": kpis.key("sales", DAY)}, world.context)


def test_a_key_that_is_not_there(world):
    with pytest.raises(RunFailed, match=r"s3://a-bucket-of-kpis/kpi/sales.*there is no such file"):
        handler({"key": kpis.key("sales", DAY)}, world.context)


@pytest.mark.parametrize(
    ("key", "words"),
    [
        ("kpi/sales/dt=2026-11-22/other.csv", "key: got 'kpi/sales/dt=2026-11-22/other.csv'"),
        ("kpi/sales/dt=2026-02-30/sales.csv", "key: got"),
        ("kpi/sales/dt=2026-11-22/sales.csv.gz", "key: got"),
        ("kpi/lost/dt=2026-11-22/lost.csv", "there is no KPI 'lost'"),
        ("kpi/../dt=2026-11-22/...csv", "key: got"),
    ],
    ids=range(5),
)
def test_a_key_that_is_none_is_named(world, key, words):
    good = kpis.key("sales", DAY)
    world.put("2026-11-22,a,1")
    with pytest.raises(RunFailed, match=re.escape(words)) as failure:
        handler({"keys": [key, good]}, world.context)
    assert "1 of 2 failed" in str(failure.value)
    assert world.rows() == [(DAY, "a", 1)]


def test_no_time_is_left(world, context):
    world.put("2026-11-22,a,1")
    context.get_remaining_time_in_millis = lambda: 12_000
    with pytest.raises(RunFailed, match="no time is left"):
        handler({"key": kpis.key("sales", DAY)}, context)


def test_a_right_on_s3_that_is_missing(monkeypatch):
    def refuse(**_):
        raise ClientError({"Error": {"Code": "403", "Message": "Forbidden"}}, "HeadObject")

    s3 = SimpleNamespace(head_object=refuse)
    played = SimpleNamespace(client=lambda _: s3, has_code=aws.has_code)
    monkeypatch.setattr(source, "aws", played)
    place = source.Place.of(BUCKET, kpis.key("sales", DAY))
    with pytest.raises(source.S3Error, match=r"dt=2026-11-22/sales\.csv: .*s3:GetObject"):
        source.head(place)


class Failing:
    """A BigQuery whose jobs end as they are told; `made` are their ids."""

    def __init__(self, *reasons):
        self.reasons, self.jobs = list(reasons), {}

    def pauses(self, *_):
        return range(10)

    def find(self, job_id):
        return self.jobs.get(job_id)

    def load(self, job_id, how, file):
        reason = self.reasons.pop(0)
        error = LoadFailed("No.", reason) if reason else None
        self.jobs[job_id] = Job(job_id, done=True, rows=0, ended=1, error=error)

    def wait(self, job_id):
        return self.jobs[job_id]


def test_a_job_that_fails_for_a_passing_reason_is_followed_by_another():
    order = loads._Order("a", {}, File(0, lambda *_: b""))
    passing = Failing("rateLimitExceeded", "backendError", None)
    assert loads._done(passing, order).job_id == "a-3"
    lasting = Failing("rateLimitExceeded", "invalid", None)
    with pytest.raises(LoadFailed):
        loads._done(lasting, order)
    assert list(lasting.jobs) == ["a", "a-2"]
    assert loads._done(lasting, order).job_id == "a-3"
    with pytest.raises(bigquery.StillRunning, match=r"the last try: No\."):
        loads._done(Failing(*["backendError"] * 10), order)
