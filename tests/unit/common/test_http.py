from time import monotonic

import pytest
import requests
import responses

from common import http
from common.http import Http, Unavailable

URL = "https://service.example/x"


@pytest.fixture
def web(monkeypatch):
    monkeypatch.setattr(http, "_backoff", lambda _: 0)
    with responses.RequestsMock() as mock:
        yield mock


BROKEN = [
    requests.ReadTimeout("slow"),
    requests.ConnectionError("reset"),
    requests.exceptions.ChunkedEncodingError("cut off"),
    requests.exceptions.ContentDecodingError("no gzip"),
]
UNCLEAR = [{"body": error} for error in BROKEN] + [
    {"status": status} for status in (500, 501, 503, 505, 520, 524, 598)
]


@pytest.mark.parametrize("trouble", UNCLEAR, ids=str)
def test_what_may_have_been_heard_is_tried_again_only_where_that_does_no_harm(web, trouble):
    first = web.post(URL, **trouble)
    second = web.post(URL, json={})
    with pytest.raises(Unavailable, match="^Service: POST https://service.example/x: ") as error:
        Http("Service", deadline=monotonic() + 600).request("POST", URL, repeatable=False)
    assert (error.value.unheard, len(first.calls), len(second.calls)) == (False, 1, 0)
    assert Http("Service", deadline=monotonic() + 600).request("POST", URL).ok
