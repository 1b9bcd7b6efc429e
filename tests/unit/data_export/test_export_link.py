import os
import re
from urllib.parse import parse_qs, urlsplit

import pytest
import requests

from common import aws, dynamodb
from data_export import export_link, jobs, page
from data_export.export_link import handler
from tests.unit.data_export.conftest import BUCKET, NOW

WEEK = 7 * 86400


def click(job_id, token):
    return {
        "httpMethod": "GET",
        "path": f"/exports/{job_id}/{token}",
        "pathParameters": {"job": job_id, "token": token},
        "multiValueQueryStringParameters": None,
        "headers": {"User-Agent": "browser", "X-Forwarded-For": "192.0.2.7"},
        "requestContext": {"identity": {"sourceIp": "192.0.2.7"}},
        "body": None,
        "isBase64Encoded": False,
        "stageVariables": None,
    }


@pytest.fixture
def follow(context):
    """Click; returns the status and, of a redirect, its address, else the page."""

    def follow(job_id, token):
        answer = handler(click(job_id, token), context)
        assert answer["headers"]["Cache-Control"] == "no-store"
        assert answer["headers"]["Referrer-Policy"] == "no-referrer"
        if answer["statusCode"] == 302:
            return 302, answer["headers"]["Location"]
        assert answer["headers"]["Content-Type"] == "text/html; charset=utf-8"
        return answer["statusCode"], answer["body"]

    return follow


@pytest.mark.parametrize(
    ("ending", "kind", "name"),
    [
        (".csv", "text/csv; charset=utf-8", "members_20260116.csv"),
        (".csv.gz", "application/gzip", "members_20260116.csv.gz"),
    ],
)
def test_the_file(finish, follow, ending, kind, name):
    job = finish(ending=ending)
    status, location = follow(job.job_id, job.token)
    asked = parse_qs(urlsplit(location).query)
    assert status == 302
    assert location.startswith(f"https://{BUCKET}.s3.ap-northeast-1.amazonaws.com/{job.key}?")
    assert asked["X-Amz-Algorithm"] == ["AWS4-HMAC-SHA256"]
    assert asked["X-Amz-Expires"] == ["60"]
    got = requests.get(location, timeout=5)
    assert (got.status_code, got.content) == (200, b"id\r\n1\r\n")
    assert got.headers["Content-Type"] == kind
    assert got.headers["Content-Disposition"] == (
        f"attachment; filename=\"{name}\"; filename*=UTF-8''{name}"
    )


@pytest.mark.parametrize("endpoint", ["http://127.0.0.1:6600", "http://[::1]:6600"])
def test_where_an_address_has_no_names_the_bucket_stands_in_the_path(
    finish, follow, monkeypatch, endpoint
):
    job = finish()
    monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint)
    assert follow(job.job_id, job.token)[1].startswith(f"{endpoint}/{BUCKET}/{job.key}?")


def test_every_click_is_signed_anew_and_logged_without_the_token(finish, follow, caplog):
    job = finish()
    caplog.set_level("INFO")
    for _ in range(2):
        assert follow(job.job_id, job.token)[0] == 302
    logged = [(one.job_id, one.downloaded) for one in caplog.records]
    assert logged == [("job-1", "members_20260116.csv")] * 2
    seen = str([one.__dict__ for one in caplog.records])
    assert not [secret for secret in (job.token, "192.0.2.7", "Signature") if secret in seen]


@pytest.mark.parametrize(
    ("job_id", "token"),
    [
        ("job-2", None),
        ("", None),
        ("x" * 3000, None),
        ("job-1\n", None),
        ("日本", None),
        ("job-1", ""),
        ("job-1", "x" * 43),
        ("job-1", "é"),
        ("job-1", "\ud800"),
    ],
    ids=range(9),
)
def test_unknown(finish, follow, job_id, token):
    job = finish()
    status, body = follow(job_id, job.token if token is None else token)
    assert (status, body) == follow("another", "x")
    assert status == 404
    assert "ファイルが見つかりません" in body
    assert "no such file" in body


def address(job):
    return job.job_id, job.token


def test_a_part_of_the_token_is_not_enough(finish, follow):
    job = finish()
    for token in (job.token[:-1], job.token + "A", job.token.swapcase()):
        assert follow(job.job_id, token)[0] == 404


def test_no_file_yet_and_none_any_more(begin, follow):
    job = begin()
    assert follow(*address(job))[0] == 404
    jobs.fail(job, NOW, "too_slow", "")
    assert follow(*address(job))[0] == 404


@pytest.mark.parametrize(("later", "status"), [(WEEK - 1, 302), (WEEK, 410), (WEEK + 99, 410)])
def test_the_links_time(finish, follow, clock, later, status):
    job = finish()
    clock.now = NOW + later
    assert follow(*address(job))[0] == status


def test_withdrawn(finish, follow):
    job = finish()
    key, now = {"job_id": job.job_id}, {"revoked_at": "2026-11-23T00:00:00+00:00"}
    assert dynamodb.change(os.environ["EXPORT_TABLE"], key, now, when="attribute_exists(job_id)")
    status, body = follow(*address(job))
    assert status == 410
    assert "このリンクは使えなくなりました" in body
    assert follow(job.job_id, "x")[0] == 404


def test_what_fails_says_nothing_from_inside(finish, follow, monkeypatch, caplog):
    job = finish()
    monkeypatch.setattr(jobs, "load", lambda _: 1 / 0)
    status, body = follow(*address(job))
    assert (status, "division" in body, "request-1" in body) == (500, False, True)
    assert "division" in caplog.text


def test_a_query_of_another_name_is_written_in_ascii(finish, follow):
    job = finish(query='注文"; x')
    location = follow(*address(job))[1]
    named = parse_qs(urlsplit(location).query)["response-content-disposition"][0]
    assert re.findall(r'filename="(.*?)"', named) == ["_____x_20260116.csv"]


@pytest.mark.parametrize("status", [404, 410, 500])
def test_the_page_is_small_and_safe(status):
    answer = page.told(status, "<script>", "<b>")
    body = answer["body"]
    assert len(body.encode()) < 2000
    assert "<script>" not in body
    assert "ID: &lt;b&gt;" in body
    assert answer["headers"]["Content-Security-Policy"].startswith("default-src 'none'")


def test_the_client_is_made_once(finish, follow):
    job = finish()
    follow(*address(job))
    client = export_link._s3()
    follow(*address(job))
    assert export_link._s3() is client
    assert aws.client("s3") is not client
