"""The calls of BigQuery, and what is done where it answers otherwise than one would like."""

import json
from datetime import date
from types import SimpleNamespace

import pytest
import requests
import responses
from responses import matchers

from common import http
from common.http import Unavailable
from kpi_to_bigquery import bigquery, google
from kpi_to_bigquery.bigquery import BigQuery, BigQueryError, File, LoadFailed, StillRunning

API = "https://bigquery.googleapis.com/bigquery/v2/projects/a-project"
UPLOAD = "https://bigquery.googleapis.com/upload/bigquery/v2/projects/a-project/jobs"
SESSION = f"{UPLOAD}?uploadType=resumable&upload_id=1"
PART = 4
DATA = b"0123456789"


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    """Parts of 4 bytes; the clock goes on only by pauses, whose seconds are returned."""
    slept = []
    clock = SimpleNamespace(monotonic=lambda: sum(slept), sleep=slept.append)
    monkeypatch.setattr(bigquery, "time", clock)
    monkeypatch.setattr(http, "monotonic", clock.monotonic)
    monkeypatch.setattr(http, "_backoff", lambda _: 0)
    monkeypatch.setattr(bigquery, "MULTIPART", PART)
    monkeypatch.setattr(bigquery, "PART", PART)
    return slept


@pytest.fixture
def answers():
    with responses.RequestsMock() as mock:
        yield mock


def connect(seconds=60, token=lambda: "a-token"):
    return BigQuery("a-project", "kpi", "asia-northeast1", token=token, deadline=seconds)


def file(data):
    return File(len(data), lambda first, most: data[first : first + most])


def error(reason, message="No.", code=400):
    errors = [{"domain": "global", "reason": reason, "message": message}]
    return {"error": {"code": code, "message": message, "errors": errors}}


def ranges(answers):
    return [
        call.request.headers["Content-Range"]
        for call in answers.calls
        if call.request.method == "PUT"
    ]


def begin(answers, times=1):
    for _ in range(times):
        answers.post(UPLOAD, headers={"Location": SESSION})


def arrived(answers, count):
    headers = {"Range": f"bytes=0-{count - 1}"} if count else {}
    answers.put(UPLOAD, status=308, headers=headers)


def test_a_small_file_goes_with_its_job(answers):
    answers.post(UPLOAD, json={})
    connect().load("a-job", {"sourceFormat": "CSV"}, file(b"a\r\n"))
    request = answers.calls[0].request
    assert request.headers["Authorization"] == "Bearer a-token"
    kind = request.headers["Content-Type"]
    boundary = kind.partition('boundary="')[2][:-1]
    assert kind.startswith("multipart/related; ")
    nothing, job, content, end = request.body.split(f"--{boundary}".encode())
    assert (nothing, end) == (b"", b"--")
    assert json.loads(job.partition(b"\r\n\r\n")[2]) == {
        "jobReference": {
            "projectId": "a-project",
            "jobId": "a-job",
            "location": "asia-northeast1",
        },
        "configuration": {"load": {"sourceFormat": "CSV"}},
    }
    assert content.partition(b"\r\n\r\n")[2] == b"a\r\n\r\n"


def test_a_large_file_goes_in_parts(answers):
    begin(answers)
    arrived(answers, 4)
    arrived(answers, 8)
    answers.put(UPLOAD, json={})
    connect().load("a-job", {}, file(DATA))
    assert ranges(answers) == ["bytes 0-3/10", "bytes 4-7/10", "bytes 8-9/10"]
    assert answers.calls[0].request.headers["X-Upload-Content-Length"] == "10"
    sent = [call.request.body for call in answers.calls if call.request.method == "PUT"]
    assert sent == [b"0123", b"4567", b"89"]


@pytest.mark.parametrize(
    "trouble",
    [
        {"status": 503},
        {"status": 500},
        {"body": requests.ConnectionError("reset")},
        {"body": requests.ReadTimeout("slow")},
    ],
    ids=["503", "500", "cut off", "no answer"],
)
@pytest.mark.parametrize(
    ("count", "then"),
    [
        (4, "bytes 4-7/10"),  # nothing of it
        (6, "bytes 6-9/10"),  # some of it
        (8, "bytes 8-9/10"),  # all of it
        (0, "bytes 0-3/10"),  # less than it said before
    ],
    ids=["nothing", "some", "all", "less"],
)
def test_after_trouble_it_goes_on_from_what_arrived(answers, trouble, count, then):
    begin(answers)
    arrived(answers, 4)
    answers.put(UPLOAD, **trouble)
    arrived(answers, count)
    answers.put(UPLOAD, json={})
    connect().load("a-job", {}, file(DATA))
    assert ranges(answers) == ["bytes 0-3/10", "bytes 4-7/10", "bytes */10", then]


def test_the_answer_to_the_last_part_is_lost(answers):
    begin(answers)
    arrived(answers, 8)
    answers.put(UPLOAD, body=requests.ConnectionError("reset"))
    answers.put(UPLOAD, json={})
    connect().load("a-job", {}, file(DATA))
    assert ranges(answers) == ["bytes 0-3/10", "bytes 8-9/10", "bytes */10"]


def test_all_arrived_but_no_job_was_made(answers):
    begin(answers)
    arrived(answers, 10)
    answers.put(UPLOAD, json={})
    connect().load("a-job", {}, file(DATA))
    assert ranges(answers) == ["bytes 0-3/10", "bytes */10"]


def test_parts_that_never_arrive_end_with_the_time(answers, quick):
    begin(answers)
    answers.put(UPLOAD, status=308)
    with pytest.raises(StillRunning, match="0 of 10 bytes arrived"):
        connect().load("a-job", {}, file(DATA))
    assert 40 < sum(quick) < 60
    assert quick == sorted(quick)


@pytest.mark.parametrize("status", [404, 410])
def test_an_upload_that_was_forgotten_is_begun_anew(answers, status):
    begin(answers)
    arrived(answers, 4)
    answers.put(UPLOAD, status=status, json=error("notFound", "no upload"))
    begin(answers)
    for count in (4, 8):
        arrived(answers, count)
    answers.put(UPLOAD, json={})
    connect().load("a-job", {}, file(DATA))
    assert ranges(answers)[2:] == ["bytes 0-3/10", "bytes 4-7/10", "bytes 8-9/10"]


@pytest.mark.parametrize("data", [b"a", DATA], ids=["small", "large"])
def test_a_job_that_is_there_is_left_as_it_is(answers, data):
    answers.post(UPLOAD, status=409, json=error("duplicate"))
    connect().load("a-job", {}, file(data))


def test_the_dataset_is_made_where_there_is_none(answers):
    missing = error("notFound", "Not found: Dataset a-project:kpi")
    answers.post(UPLOAD, status=404, json=missing)
    answers.post(f"{API}/datasets", json={})
    answers.post(UPLOAD, json={})
    connect().load("a-job", {}, file(b"a"))
    assert json.loads(answers.calls[1].request.body) == {
        "datasetReference": {"projectId": "a-project", "datasetId": "kpi"},
        "location": "asia-northeast1",
    }


def test_a_dataset_elsewhere_is_an_error(answers):
    words = "Not found: Dataset a-project:kpi was not found in location asia-northeast1"
    answers.post(UPLOAD, status=404, json=error("notFound", words))
    answers.post(f"{API}/datasets", status=409, json=error("duplicate"))
    with pytest.raises(BigQueryError, match=words):
        connect().load("a-job", {}, file(b"a"))


@pytest.mark.parametrize("status", [403, 400, 500])
def test_too_many_requests_are_waited_for(answers, quick, status):
    for _ in range(3):
        answers.post(UPLOAD, status=status, json=error("rateLimitExceeded"))
    answers.post(UPLOAD, json={})
    connect().load("a-job", {}, file(b"a"))
    assert len(answers.calls) == 4


def test_too_many_requests_for_as_long_as_there_is_time(answers):
    answers.post(UPLOAD, status=403, json=error("rateLimitExceeded", "Too many."))
    with pytest.raises(BigQueryError, match=r"HTTP 403 rateLimitExceeded: Too many\."):
        connect().load("a-job", {}, file(b"a"))


def test_a_missing_right_is_said_at_once(answers):
    answers.post(UPLOAD, status=403, json=error("accessDenied", "Access Denied: Project x"))
    with pytest.raises(BigQueryError, match=r"Access Denied: Project x .*roles/bigquery\.jobUser"):
        connect().load("a-job", {}, file(b"a"))


def test_an_error_that_is_not_bigquerys(answers):
    answers.post(UPLOAD, status=400, body="<html>proxy</html>")
    with pytest.raises(BigQueryError, match="HTTP 400 <html>proxy"):
        connect().load("a-job", {}, file(b"a"))


def test_a_token_that_is_refused_is_renewed_once(answers, monkeypatch):
    forgotten = []
    monkeypatch.setattr(google, "forget", lambda: forgotten.append(1))
    answers.get(f"{API}/jobs/a-job", status=401, json=error("authError", "Invalid.", 401))
    with pytest.raises(BigQueryError, match="401"):
        connect(token=lambda: f"token-{len(forgotten)}").find("a-job")
    sent = [call.request.headers["Authorization"] for call in answers.calls]
    assert sent == ["Bearer token-0", "Bearer token-1"]


def test_bigquery_that_is_down(answers):
    answers.post(UPLOAD, status=503, body="down")
    with pytest.raises(Unavailable, match="BigQuery: POST .*: HTTP 503 down"):
        connect(0).load("a-job", {}, file(b"a"))


def found(state, error=None, errors=(), **statistics):
    status = {"state": state} | ({"errorResult": error, "errors": list(errors)} if error else {})
    return {"status": status, "statistics": statistics}


def test_a_job_is_waited_for(answers, quick):
    where = f"{API}/jobs/a-job?location=asia-northeast1"
    answers.get(where, json=found("PENDING"))
    answers.get(where, json=found("RUNNING"))
    answers.get(where, json=found("DONE", endTime="1700", load={"outputRows": "7"}))
    job = connect().wait("a-job")
    assert (job.done, job.rows, job.ended, job.error) == (True, 7, 1700, None)
    assert quick == [0.25, 0.4]


def test_a_job_that_does_not_end(answers, quick):
    answers.get(f"{API}/jobs/a-job", json=found("RUNNING"))
    with pytest.raises(StillRunning, match="a-job"):
        connect().wait("a-job")
    assert 40 < sum(quick) < 60


def test_a_job_that_is_not_there(answers):
    answers.get(f"{API}/jobs/a-job", status=404, json=error("notFound"))
    assert connect().find("a-job") is None


def test_a_failed_job_says_all_that_bigquery_says(answers):
    result = {"reason": "invalid", "message": "Too many errors."}
    row = {"reason": "invalid", "message": 'line_number: 3 column_name: "n"', "location": "file"}
    answers.get(f"{API}/jobs/a-job", json=found("DONE", result, [result, row]))
    job = connect().wait("a-job")
    assert isinstance(job.error, LoadFailed)
    assert str(job.error) == (
        "BigQuery: job a-job failed, invalid: Too many errors.;"
        ' line_number: 3 column_name: "n" (at file)'
    )


def test_a_query_that_takes_its_time(answers, quick):
    later = {"jobComplete": False, "jobReference": {"jobId": "a-query"}}
    rows = [{"f": [{"v": "sales"}, {"v": None}]}, {"f": [{"v": "users"}, {"v": "7"}]}]
    answers.post(f"{API}/queries", json=later)
    where = f"{API}/queries/a-query"
    how = {
        "location": "asia-northeast1",
        "timeoutMs": "5000",
        "formatOptions.useInt64Timestamp": "true",
    }
    for answer in (later, later | {"jobComplete": True, "rows": rows}):
        answers.get(where, match=[matchers.query_param_matcher(how)], json=answer)
    assert connect().query("SELECT @day", date(2026, 11, 22)) == [["sales", None], ["users", "7"]]
    asked = json.loads(answers.calls[0].request.body)
    (day,) = asked["queryParameters"]
    assert day["parameterType"]["type"] == "DATE"
    assert day["parameterValue"]["value"] == "2026-11-22"
    assert (asked["useLegacySql"], asked["location"]) == (False, "asia-northeast1")


def test_a_query_that_does_not_end(answers):
    later = {"jobComplete": False, "jobReference": {"jobId": "a-query"}}
    answers.post(f"{API}/queries", json=later)
    answers.get(f"{API}/queries/a-query", json=later)
    with pytest.raises(StillRunning, match="a query"):
        connect().query("SELECT 1", date(2026, 11, 22))


def test_another_place_for_the_api(answers, monkeypatch):
    monkeypatch.setenv("BIGQUERY_API_BASE", "http://127.0.0.1:6700")
    answers.get(
        "http://127.0.0.1:6700/bigquery/v2/projects/a-project/jobs/a-job", json=found("DONE")
    )
    assert connect().find("a-job").done
