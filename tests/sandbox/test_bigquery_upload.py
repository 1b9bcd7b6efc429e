"""Files on their way into the played BigQuery: in parts, interrupted, repeated, refused."""

import io
import time

import pytest
import requests
from google.cloud import bigquery
from google.cloud.bigquery import client as library

from sandbox.bigquery_upload import split
from sandbox.google import Refused
from stack import GOOGLE_PROJECT
from tests.sandbox.warehouse import DATASET, client, load, rows, schema, token, trusting_aws
from tests.support import until

PART = 256 * 1024  # the smallest that the client sends
FIELDS = (("n", "INT64"), ("s", "STRING"))
UPLOAD = f"/upload/bigquery/v2/projects/{GOOGLE_PROJECT}/jobs"


@pytest.fixture(scope="module")
def sandbox(start_sandbox, tmp_path_factory):
    with (
        trusting_aws() as aws,
        start_sandbox(tmp_path_factory.mktemp("uploads"), aws=aws) as server,
    ):
        yield server


@pytest.fixture(scope="module")
def bq(sandbox):
    with client(sandbox) as made:
        made.create_dataset("kpi")
        yield made


@pytest.fixture
def small_parts(monkeypatch):
    monkeypatch.setattr(library, "_DEFAULT_CHUNKSIZE", PART)


def lines(size):
    """A CSV of exactly so many bytes, and its number of rows."""
    count = size // 64
    text = "".join(f"{n:09},{'x' * 53}\n" for n in range(count))
    return text[:-1] + "x" * (size - len(text)) + "\n", count


def send(bq, table, text):
    return load(bq, table, text, fields=FIELDS, small=False, skip_leading_rows=0)


@pytest.mark.parametrize("size", [PART * 3, PART * 3 + 64, 64], ids=["exact", "more", "less"])
def test_a_file_in_parts(bq, small_parts, size):
    text, count = lines(size)
    job = send(bq, "parts", text)
    assert (job.error_result, job.output_rows, job.input_file_bytes) == (None, count, size)


def test_the_second_part_is_refused_once(bq, sandbox, small_parts, monkeypatch):
    monkeypatch.setattr("google.resumable_media._helpers.calculate_retry_wait", lambda *_: (0, 0))
    text, count = lines(PART * 3)
    # The beginning and the first part are only kept waiting.
    sandbox.fault(service="bigquery-upload", delay=0.01, times=2)
    sandbox.fault(service="bigquery-upload", status=503)
    job = send(bq, "refused", text)
    assert (job.error_result, job.output_rows) == (None, count)
    assert [row[0] for row in rows(bq, "refused")] == list(range(count))


class Upload:
    """A resumable upload by hand."""

    def __init__(self, server, **reference):
        self.headers = {"Authorization": f"Bearer {token(server)}"}
        load = {
            "destinationTable": {"datasetId": "kpi", "tableId": "hand"},
            "schema": {"fields": [{"name": "n", "type": "INT64"}]},
            "writeDisposition": "WRITE_TRUNCATE",
        }
        job = {"jobReference": reference, "configuration": {"load": load}}
        begun = requests.post(
            f"{server.url}{UPLOAD}?uploadType=resumable",
            json=job,
            headers=self.headers,
            timeout=10,
        )
        self.status, self.url = begun.status_code, begun.headers.get("Location")

    def put(self, data, content_range):
        headers = {**self.headers, "Content-Range": content_range}
        return requests.put(self.url, data=data, headers=headers, timeout=10)


def test_a_part_that_comes_twice_is_there_once(sandbox, bq):
    upload = Upload(sandbox)
    assert upload.url.startswith(f"{sandbox.url}{UPLOAD}?uploadType=resumable&upload_id=")
    first = upload.put(b"", "bytes */*")
    assert (first.status_code, first.headers.get("Range")) == (308, None)
    for _ in range(2):
        answer = upload.put(b"1\n2\n", "bytes 0-3/*")
        assert (answer.status_code, answer.headers["Range"]) == (308, "bytes=0-3")
        assert "Location" not in answer.headers
    assert upload.put(b"", "bytes */*").headers["Range"] == "bytes=0-3"
    done = [upload.put(b"3\n", "bytes 4-5/6") for _ in range(2)]
    assert [answer.status_code for answer in done] == [200, 200]
    ids = {answer.json()["jobReference"]["jobId"] for answer in done}
    assert len(ids) == 1
    until(bq.get_job(ids.pop()).done)
    assert rows(bq, "hand") == [(1,), (2,), (3,)]


@pytest.mark.parametrize(
    ("data", "content_range"),
    [
        (b"1\n", "bytes 4-5/6"),  # a hole
        (b"1\n2\n", "bytes 0-1/*"),
        (b"1\n", "bytes 0-3/*"),
        (b"1\n", "bytes 0-1/1"),
        (b"", "lines 0-1/1"),
    ],
    ids=range(5),
)
def test_ranges_that_are_wrong(sandbox, bq, data, content_range):
    answer = Upload(sandbox).put(data, content_range)
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, 400)


def test_a_job_id_taken_meanwhile(sandbox, bq):
    both = [Upload(sandbox, jobId="race", location="asia-northeast1") for _ in range(2)]
    assert [one.put(b"1\n", "bytes 0-1/2").status_code for one in both] == [200, 409]
    assert Upload(sandbox, jobId="race").status == 409


def test_an_upload_that_is_not_known(sandbox, bq):
    upload = Upload(sandbox)
    upload.url = upload.url.replace("upload_id=", "upload_id=x")
    assert upload.put(b"", "bytes */*").status_code == 404
    headers = upload.headers
    for query in ("", "?uploadType=media"):
        answer = requests.post(f"{sandbox.url}{UPLOAD}{query}", headers=headers, timeout=10)
        assert answer.status_code == 400
    upload.headers = {}
    assert upload.put(b"", "bytes */*").status_code == 401


def test_a_file_too_large_for_one_request(sandbox, bq):
    headers = {
        "Authorization": f"Bearer {token(sandbox)}",
        "Content-Type": "multipart/related; boundary=x",
    }
    answer = requests.post(
        f"{sandbox.url}{UPLOAD}?uploadType=multipart",
        data=b"x" * (10 * 2**20 + 1),
        headers=headers,
        timeout=20,
    )
    assert answer.status_code == 413


@pytest.mark.parametrize(
    ("body", "content"),
    [
        (b"--b\r\na: b\r\n\r\n{}\r\n--b\r\na: b\r\n\r\n1\r\n\r\n--b--", b"1\r\n"),
        (b"--b\r\na: b\r\n\r\n{}\r\n--b\r\na: b\r\n\r\n\r\n--b--", b""),
        (
            b"--b\r\na: b\r\n\r\n{}\r\n--b\r\na: b\r\n\r\n1\r\n--b\r\n2\r\n--b--\r\n",
            b"1\r\n--b\r\n2",
        ),
    ],
    ids=["line-end", "empty", "boundary"],
)
def test_a_multipart_body_is_split(body, content):
    assert split(body, b"b") == ({}, content)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"--b--",
        b"--b\r\na: b\r\n\r\n{}\r\n--b--",
        b"--b\r\na: b\r\n\r\n[]\r\n--b\r\na: b\r\n\r\n1\r\n--b--",
        b"--b\r\na: b\r\n\r\n{\r\n--b\r\na: b\r\n\r\n1\r\n--b--",
        b"--b\r\na: b\r\n\r\n{}\r\n--b\r\n1\r\n--b--",
    ],
    ids=range(6),
)
def test_a_multipart_body_that_is_none(body):
    with pytest.raises(Refused):
        split(body, b"b")


def test_nothing_is_left_of_a_file(bq, sandbox, start_sandbox, tmp_path):
    with trusting_aws() as aws, start_sandbox(tmp_path, aws=aws) as server, client(server) as own:
        own.create_dataset("kpi")
        for text in ("1,a\n", "x,a\n"):
            send(own, "t", text)
        assert not list(tmp_path.glob("data/bigquery/*.upload"))


def test_others_are_answered_while_a_file_is_loaded(bq, sandbox):
    text, count = lines(40 * 2**20)
    config = bigquery.LoadJobConfig(source_format="CSV", schema=schema(*FIELDS))
    job = bq.load_table_from_file(io.BytesIO(text.encode()), f"{DATASET}.large", job_config=config)
    begun, waited, states = time.monotonic(), [], set()
    while not job.done():
        states.add(job.state)
        waited.append(requests.get(f"{sandbox.url}/health", timeout=60).elapsed.total_seconds())
    assert states <= {"PENDING", "RUNNING"}
    # Nobody waited for the load to end, however long that takes here.
    assert max(waited, default=0) < (time.monotonic() - begun) / 2
    assert job.output_rows == count
