import io
import json
import urllib.error

import pytest
import requests
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from slack_sdk import WebClient
from slack_sdk.errors import SlackApiError
from slack_sdk.http_retry.builtin_handlers import RateLimitErrorRetryHandler

from sandbox import slack

TOKEN = "xoxb-of-the-tests"
ALERTS, PRIVATE, OTHER = "C0123456789", "C0999999999", "C0555555555"
CHANNELS = f"{ALERTS}:alerts,{OTHER}:reports,-{PRIVATE}:private"
PNG = b"\x89PNG\r\n\x1a\n" + bytes(range(256))


@pytest.fixture(scope="module")
def sandbox(start_sandbox, tmp_path_factory):
    """A sandbox that plays Slack: here instead of the shared one."""
    folder = tmp_path_factory.mktemp("slack")
    with start_sandbox(
        folder, SANDBOX_SLACK_BOT_TOKEN=TOKEN, SANDBOX_SLACK_CHANNELS=CHANNELS
    ) as server:
        yield server


def web(server, token=TOKEN, **options):
    return WebClient(token, base_url=f"{server.url}/api/", **{"timeout": 5, **options})


def call(server, method, token=TOKEN, **request):
    headers = {"Authorization": f"Bearer {token}"} | request.pop("headers", {})
    return requests.post(
        f"{server.url}/api/{method}", headers=headers, **{"timeout": 10, **request}
    )


def form(server, method, token=TOKEN, **fields):
    response = call(server, method, token, data=fields)
    assert response.status_code == 200
    return response.json()


def ask(server, name="a.png", length=None):
    answer = form(server, "files.getUploadURLExternal", filename=name, length=length or len(PNG))
    assert answer["ok"], answer
    return answer["file_id"], answer["upload_url"]


def uploaded(server, name="a.png", content=PNG):
    number, url = ask(server, name, len(content))
    assert requests.post(url, data=content, timeout=10).status_code == 200
    return number


def complete(server, *files, **fields):
    wanted = json.dumps([{"id": file} if isinstance(file, str) else file for file in files])
    return form(server, "files.completeUploadExternal", files=wanted, **fields)


def posts(server, before):
    return [item["body"] for item in server.inbox(after=before, channel="slack")]


def error_of(answer):
    assert answer["ok"] is False
    return answer["error"]


# The official client


def test_the_official_client_says_who_it_is(sandbox):
    answer = web(sandbox).auth_test()
    assert answer["ok"]
    assert answer["user"] == "mimamori"
    assert answer["url"].startswith(sandbox.url)


def test_the_official_client_posts_a_message_and_answers_it(sandbox):
    before = sandbox.last()
    first = web(sandbox).chat_postMessage(channel=ALERTS, text="見守り\nof today")
    answer = web(sandbox).chat_postMessage(channel=ALERTS, text="more", thread_ts=first["ts"])
    assert first["message"]["text"] == "見守り\nof today"
    assert answer["message"]["thread_ts"] == first["ts"]
    assert float(answer["ts"]) > float(first["ts"])
    items = sandbox.inbox(after=before)
    assert [item["summary"] for item in items] == ["#alerts: 見守り", "#alerts: more"]
    assert items[0]["body"] == {
        "app": "Mimamori",
        "channel": ALERTS,
        "channel_name": "alerts",
        "text": "見守り\nof today",
        "ts": first["ts"],
        "thread_ts": None,
        "files": [],
    }
    assert items[1]["body"]["thread_ts"] == first["ts"]


def test_the_official_client_uploads_several_files_as_one_message(sandbox):
    before = sandbox.last()
    answer = web(sandbox).files_upload_v2(
        channel=ALERTS,
        initial_comment="今日のグラフ\nand more",
        file_uploads=[
            {"file": io.BytesIO(PNG), "filename": "利用者 1.png", "title": "Users"},
            {"content": "a,b\n1,2\n", "filename": "b.csv"},
        ],
    )
    assert [file["title"] for file in answer["files"]] == ["Users", "b.csv"]
    (item,) = sandbox.inbox(after=before)
    assert (item["channel"], item["summary"]) == ("slack", "#alerts: 今日のグラフ (2 files)")
    picture, table = item["body"]["files"]
    assert {**picture, "id": "", "url": ""} == {
        "id": "",
        "title": "Users",
        "name": "利用者 1.png",
        "mimetype": "image/png",
        "size": len(PNG),
        "url": "",
    }
    found = requests.get(sandbox.url + picture["url"], timeout=10)
    assert (found.content, found.headers["Content-Type"]) == (PNG, "image/png")
    assert found.headers["X-Content-Type-Options"] == "nosniff"
    assert found.headers["Content-Disposition"].startswith("inline;")
    found = requests.get(sandbox.url + table["url"], timeout=10)
    assert found.text == "a,b\n1,2\n"
    assert found.headers["Content-Disposition"] == "attachment; filename*=UTF-8''b.csv"


def test_the_official_client_uploads_one_file_in_a_thread(sandbox):
    before = sandbox.last()
    client = web(sandbox)
    ts = client.chat_postMessage(channel=ALERTS, text="x")["ts"]
    answer = client.files_upload_v2(channel=ALERTS, content=PNG, filename="a.png", thread_ts=ts)
    assert answer["file"]["title"] == "a.png"
    _, post = posts(sandbox, before)
    assert (post["thread_ts"], post["text"]) == (ts, "")


@pytest.mark.parametrize(
    ("channel", "error"),
    [(PRIVATE, "not_in_channel"), ("C0000000000", "channel_not_found"), ("#alerts", None)],
)
def test_the_official_client_and_a_channel_that_is_not_its_own(sandbox, channel, error):
    before = sandbox.last()
    for act in (
        lambda client: client.chat_postMessage(channel=channel, text="x"),
        lambda client: client.files_upload_v2(channel=channel, content=b"x", filename="a.txt"),
    ):
        with pytest.raises(SlackApiError) as caught:
            act(web(sandbox))
        assert caught.value.response.status_code == 200
        assert caught.value.response["error"] == (error or "channel_not_found")
    assert posts(sandbox, before) == []


@pytest.mark.parametrize(
    ("token", "error"), [(None, "not_authed"), ("xoxb-wrong", "invalid_auth"), ("鍵", None)]
)
def test_a_wrong_token(sandbox, token, error):
    before = sandbox.last()
    if error:
        with pytest.raises(SlackApiError) as caught:
            web(sandbox, token).auth_test()
        assert caught.value.response["error"] == error
    headers = {} if token is None else {"Authorization": f"Bearer {token}".encode()}
    for method in (
        "auth.test",
        "chat.postMessage",
        "files.getUploadURLExternal",
        "files.completeUploadExternal",
        "files.upload",
    ):
        answer = requests.post(f"{sandbox.url}/api/{method}", headers=headers, timeout=10)
        assert (answer.status_code, error_of(answer.json())) == (200, error or "invalid_auth")
    assert posts(sandbox, before) == []


def test_a_token_without_a_scope(start_sandbox, tmp_path):
    with start_sandbox(
        tmp_path, SANDBOX_SLACK_BOT_TOKEN=TOKEN, SANDBOX_SLACK_SCOPES="chat:write"
    ) as server:
        assert web(server).chat_postMessage(channel=ALERTS, text="x")["ok"]
        with pytest.raises(SlackApiError) as caught:
            web(server).files_upload_v2(channel=ALERTS, content=b"x", filename="a.txt")
        assert caught.value.response.data == {
            "ok": False,
            "error": "missing_scope",
            "needed": "files:write",
            "provided": "chat:write",
        }
        assert error_of(complete(server, "F1")) == "missing_scope"


def test_without_a_token_set_none_is_right(start_sandbox, tmp_path):
    with start_sandbox(tmp_path) as server:
        assert error_of(form(server, "auth.test", token="")) == "not_authed"
        assert error_of(form(server, "auth.test", token="None")) == "invalid_auth"


# The three steps


def test_what_is_not_completed_is_not_in_the_channel(sandbox):
    before = sandbox.last()
    number = uploaded(sandbox)
    assert posts(sandbox, before) == []
    assert requests.get(f"{sandbox.url}/files/{number}/a.png", timeout=10).status_code == 404
    assert complete(sandbox, number, channel_id=ALERTS)["ok"]
    assert [post["files"][0]["id"] for post in posts(sandbox, before)] == [number]


def test_a_completion_before_the_bytes(sandbox):
    before = sandbox.last()
    number, url = ask(sandbox)
    assert error_of(complete(sandbox, number, channel_id=ALERTS)) == "file_update_failed"
    # One that is ready does not go out without the other.
    ready = uploaded(sandbox)
    assert error_of(complete(sandbox, ready, number, channel_id=ALERTS)) == "file_update_failed"
    assert posts(sandbox, before) == []
    assert requests.post(url, data=PNG, timeout=10).ok
    assert complete(sandbox, ready, number, channel_id=ALERTS)["ok"]
    assert len(posts(sandbox, before)) == 1


def test_a_second_completion(sandbox):
    before = sandbox.last()
    number = uploaded(sandbox)
    assert complete(sandbox, number, channel_id=ALERTS)["ok"]
    assert error_of(complete(sandbox, number, channel_id=ALERTS)) == "file_update_failed"
    assert len(posts(sandbox, before)) == 1


def test_a_completion_that_was_refused_can_be_tried_again(sandbox):
    before = sandbox.last()
    number = uploaded(sandbox)
    assert error_of(complete(sandbox, number, channel_id=PRIVATE)) == "not_in_channel"
    assert complete(sandbox, number, channel_id=ALERTS)["ok"]
    assert len(posts(sandbox, before)) == 1


@pytest.mark.parametrize("content", [PNG[:-1], PNG + b"x", b"", PNG * 9])
def test_a_wrong_length(sandbox, content):
    number, url = ask(sandbox)
    assert requests.post(url, data=content, timeout=10).status_code == 400
    assert error_of(complete(sandbox, number, channel_id=ALERTS)) == "file_update_failed"
    # The right bytes are still welcome, and may come twice.
    assert [requests.post(url, data=PNG, timeout=10).status_code for _ in range(2)] == [200, 200]
    assert complete(sandbox, number, channel_id=ALERTS)["ok"]
    assert requests.post(url, data=PNG, timeout=10).status_code == 400


def test_an_unknown_file(sandbox):
    assert error_of(complete(sandbox, "F0", channel_id=ALERTS)) == "file_not_found"
    assert requests.post(f"{sandbox.url}/upload/v1/x", data=b"x", timeout=10).status_code == 404
    assert requests.get(f"{sandbox.url}/files/F0/a.png", timeout=10).status_code == 404
    assert requests.get(f"{sandbox.url}/files/../slack.sqlite3", timeout=10).status_code == 404


def test_without_a_channel_the_file_stays_private(sandbox):
    before = sandbox.last()
    number = uploaded(sandbox)
    answer = complete(sandbox, {"id": number, "title": "t"})
    assert answer == {"ok": True, "files": [{"id": number, "title": "t"}]}
    assert posts(sandbox, before) == []


def test_fifteen_files_are_too_many_for_one_message(sandbox):
    before = sandbox.last()
    many = [uploaded(sandbox) for _ in range(15)]
    assert error_of(complete(sandbox, *many, channel_id=ALERTS)) == "internal_error"
    assert posts(sandbox, before) == []
    assert complete(sandbox, *many[:14], channel_id=ALERTS)["ok"]


def test_a_description_of_a_picture(sandbox):
    before = sandbox.last()
    place = {"filename": "a.png", "length": len(PNG)}
    for words, error in (("é" * 1001, "alt_txt_too_large"), (7, "invalid_arguments")):
        fields = {**place, "alt_txt": words}
        answer = call(sandbox, "files.getUploadURLExternal", json=fields).json()
        assert error_of(answer) == error
    answer = form(sandbox, "files.getUploadURLExternal", **place, alt_txt="é" * 1000)
    assert requests.post(answer["upload_url"], data=PNG, timeout=10).status_code == 200
    assert complete(sandbox, answer["file_id"], uploaded(sandbox), channel_id=ALERTS)["ok"]
    (post,) = posts(sandbox, before)
    assert [file.get("alt_txt") for file in post["files"]] == ["é" * 1000, None]


def test_several_channels_get_a_message_each(sandbox):
    before = sandbox.last()
    number = uploaded(sandbox)
    assert complete(sandbox, number, channels=f"{ALERTS},{OTHER}", channel_id=ALERTS)["ok"]
    assert [post["channel_name"] for post in posts(sandbox, before)] == ["alerts", "reports"]


def test_a_comment_and_blocks_exclude_each_other(sandbox):
    before = sandbox.last()
    blocks = json.dumps([{"type": "divider", "x": "\ud800"}])
    for comment in ("words", ""):
        fields = {"initial_comment": comment, "blocks": blocks, "channel_id": ALERTS}
        assert complete(sandbox, uploaded(sandbox), **fields)["ok"]
    words, shown = posts(sandbox, before)
    assert (words["text"], "blocks" in words) == ("words", False)
    assert (shown["text"], shown["blocks"]) == ("", [{"type": "divider", "x": "?"}])


def test_threads(sandbox):
    before = sandbox.last()
    parent = form(sandbox, "chat.postMessage", channel=ALERTS, text="x")["ts"]
    reply = form(sandbox, "chat.postMessage", channel=ALERTS, text="y", thread_ts=parent)["ts"]
    for channel, thread_ts in (
        (ALERTS, reply),
        (OTHER, parent),
        (ALERTS, "1.000000"),
        (ALERTS, parent[:-1]),
        (ALERTS, "x"),
        (ALERTS, "9" * 30 + ".000000"),
    ):
        fields = {"channel": channel, "text": "z", "thread_ts": thread_ts}
        assert error_of(form(sandbox, "chat.postMessage", **fields)) == "thread_not_found"
    number = uploaded(sandbox)
    many = complete(sandbox, number, channels=f"{ALERTS},{OTHER}", thread_ts=parent)
    assert error_of(many) == "invalid_arguments"
    assert complete(sandbox, number, channel_id=ALERTS, thread_ts=parent)["ok"]
    assert [post["thread_ts"] for post in posts(sandbox, before)] == [None, parent, parent]


# Shapes


@pytest.mark.parametrize(
    "request_",
    [
        {"data": {"filename": "a.txt", "length": "3"}},
        {"json": {"filename": "a.txt", "length": 3}},
        {"json": {"filename": "a.txt", "length": "3"}},
        {"params": {"filename": "a.txt", "length": "3"}},
    ],
)
def test_the_ways_to_give_arguments(sandbox, request_):
    answer = call(sandbox, "files.getUploadURLExternal", **request_).json()
    assert answer["ok"], answer
    assert answer["upload_url"].startswith(f"{sandbox.url}/upload/v1/")


def test_files_may_be_a_list_in_json(sandbox):
    before = sandbox.last()
    request = {"files": [{"id": uploaded(sandbox)}], "channel_id": ALERTS, "thread_ts": None}
    assert call(sandbox, "files.completeUploadExternal", json=request).json()["ok"]
    assert len(posts(sandbox, before)) == 1


@pytest.mark.parametrize(
    ("method", "request_", "error"),
    [
        ("chat.postMessage", {"data": {"text": "x"}}, "channel_not_found"),
        ("chat.postMessage", {"data": {"channel": ALERTS}}, "no_text"),
        ("chat.postMessage", {"json": {"channel": ALERTS, "text": 1}}, "invalid_arguments"),
        ("chat.postMessage", {"data": {"channel": ALERTS, "text": "x" * 40_001}}, "msg_too_long"),
        (
            "chat.postMessage",
            {"data": {"channel": ALERTS, "blocks": "["}},
            "invalid_blocks_format",
        ),
        ("chat.postMessage", {"json": {"channel": ALERTS, "blocks": [1]}}, "invalid_blocks"),
        (
            "chat.postMessage",
            {"data": {"channel": ALERTS, "blocks": '[{"type": "x", "y": 1e999}]'}},
            "invalid_blocks",
        ),
        ("chat.postMessage", {"json": [1]}, "json_not_object"),
        (
            "chat.postMessage",
            {"data": b"{", "headers": {"Content-Type": "application/json"}},
            "invalid_json",
        ),
        ("chat.postMessage", {"files": {"text": "x"}}, "invalid_post_type"),
        (
            "chat.postMessage",
            {
                "data": b"text=\xff",
                "headers": {"Content-Type": "application/x-www-form-urlencoded"},
            },
            "invalid_form_data",
        ),
        ("files.getUploadURLExternal", {"data": {"length": 1}}, "invalid_arguments"),
        ("files.getUploadURLExternal", {"data": {"filename": "a"}}, "invalid_arguments"),
        (
            "files.getUploadURLExternal",
            {"data": {"filename": "a", "length": "1.5"}},
            "invalid_arguments",
        ),
        (
            "files.getUploadURLExternal",
            {"json": {"filename": "a", "length": True}},
            "invalid_arguments",
        ),
        (
            "files.getUploadURLExternal",
            {"data": {"filename": "a", "length": 0}},
            "missing_argument",
        ),
        (
            "files.getUploadURLExternal",
            {"json": {"filename": "a", "length": 10**30}},
            "file_upload_size_restricted",
        ),
        ("files.completeUploadExternal", {"data": {"channel_id": ALERTS}}, "invalid_arguments"),
        ("files.completeUploadExternal", {"data": {"files": "[]"}}, "invalid_arguments"),
        ("files.completeUploadExternal", {"data": {"files": "["}}, "invalid_arguments"),
        ("files.completeUploadExternal", {"data": {"files": "[{}]"}}, "invalid_arguments"),
        ("files.completeUploadExternal", {"json": {"files": [{"id": 1}]}}, "invalid_arguments"),
        (
            "files.completeUploadExternal",
            {"json": {"files": [{"id": "F1"}, {"id": "F1"}]}},
            "invalid_arguments",
        ),
        (
            "files.completeUploadExternal",
            {"json": {"files": [{"id": "\ud800"}]}},
            "file_not_found",
        ),
        ("files.upload", {"data": {"channels": ALERTS}}, "method_deprecated"),
        ("files.list", {}, "unknown_method"),
    ],
)
def test_a_bad_call(sandbox, method, request_, error):
    before = sandbox.last()
    response = call(sandbox, method, **request_)
    assert response.status_code == 200, response.text
    assert error_of(response.json()) == error
    if error == "invalid_arguments":
        assert response.json()["response_metadata"]["messages"][0].startswith("[ERROR] ")
    assert posts(sandbox, before) == []


def test_a_file_that_carries_script_is_not_opened_in_the_page(sandbox):
    before = sandbox.last()
    for name in ("x.html", "x.svg", 'a";\r\nX: y.txt', "../../etc/passwd", "x/y.png", "é.png", "?"):
        assert complete(sandbox, uploaded(sandbox, name), channel_id=ALERTS)["ok"]
    for post in posts(sandbox, before):
        (file,) = post["files"]
        found = requests.get(sandbox.url + file["url"], timeout=10)
        assert found.content == PNG
        assert "sandbox" in found.headers["Content-Security-Policy"]
        assert found.headers["X-Content-Type-Options"] == "nosniff"
        assert "X" not in found.headers
        shown = found.headers["Content-Disposition"].partition(";")[0]
        assert shown == ("inline" if file["mimetype"] == "image/png" else "attachment")


# Faults


def test_too_many_requests_and_then_success(sandbox):
    before = sandbox.last()
    sandbox.fault(service="slack", status=429)
    with pytest.raises(SlackApiError) as caught:
        web(sandbox).auth_test()
    assert caught.value.response.data == {"ok": False, "error": "ratelimited"}
    assert caught.value.response.headers["Retry-After"] == "1"
    sandbox.fault(service="slack-complete", status=429, headers={"Retry-After": "0"})
    client = web(sandbox)
    client.retry_handlers.append(RateLimitErrorRetryHandler(max_retry_count=2))
    assert client.files_upload_v2(channel=ALERTS, content=b"x", filename="a.txt")["ok"]
    assert len(posts(sandbox, before)) == 1


@pytest.mark.parametrize("error", ["not_in_channel", "missing_scope", "invalid_auth"])
def test_an_error_of_ones_choice(sandbox, error):
    before = sandbox.last()
    sandbox.fault(service="slack-complete", status=200, message=error)
    with pytest.raises(SlackApiError) as caught:
        web(sandbox).files_upload_v2(channel=ALERTS, content=b"x", filename="a.txt")
    assert caught.value.response.status_code == 200
    assert caught.value.response["error"] == error
    assert (caught.value.response.get("needed") == "files:write") == (error == "missing_scope")
    assert posts(sandbox, before) == []


def test_the_upload_url_fails_and_then_takes_the_bytes(sandbox):
    number, url = ask(sandbox)
    sandbox.fault(service="slack-upload", status=500, times=2)
    answers = [requests.post(url, data=PNG, timeout=10) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [500, 500, 200]
    assert complete(sandbox, number, channel_id=ALERTS)["ok"]
    sandbox.fault(service="slack-upload", status=500)
    with pytest.raises(urllib.error.HTTPError):
        web(sandbox).files_upload_v2(channel=ALERTS, content=b"x", filename="a.txt")


@pytest.mark.parametrize(("fault", "posted"), [({}, 0), ({"handled": True}, 1)])
def test_a_completion_that_times_out_has_posted_or_not(sandbox, fault, posted):
    before = sandbox.last()
    number = uploaded(sandbox)
    sandbox.fault(service="slack-complete", delay=0.5, **fault)
    with pytest.raises(requests.Timeout):
        call(
            sandbox,
            "files.completeUploadExternal",
            data={"files": json.dumps([{"id": number}]), "channel_id": ALERTS},
            timeout=0.2,
        )
    again = complete(sandbox, number, channel_id=ALERTS)
    assert again["ok"] != bool(posted)
    assert len(posts(sandbox, before)) == 1


def test_a_late_answer_reaches_a_client_that_waits(sandbox):
    sandbox.fault(service="slack", delay=0.1, handled=True)
    assert web(sandbox).auth_test()["ok"]


@pytest.mark.parametrize(
    ("fault", "field"),
    [
        ({"service": "slack-upload", "status": 200}, "status"),
        ({"service": "slack", "status": 201}, "status"),
        ({"service": "slack", "status": 200.0}, "status"),
        ({"service": "slack", "delay": 1, "handled": False}, "handled"),
        ({"service": "slack", "delay": 1, "status": 500, "handled": True}, "handled"),
        ({"service": "slack", "handled": True}, "status"),
    ],
)
def test_a_bad_fault(sandbox, fault, field):
    response = requests.post(f"{sandbox.url}/faults", json=fault, timeout=10)
    assert (response.status_code, response.json()["field"]) == (400, field)


# Settings and the pure parts


def test_channels_are_read():
    assert slack.read_channels(" C1:a , -C2:b:c") == {
        "C1": slack.Channel("C1", "a", member=True),
        "C2": slack.Channel("C2", "b:c", member=False),
    }
    for wrong in ("", "C1", "C1:", ":a", "C1:a,", "-"):
        with pytest.raises(RuntimeError, match="SANDBOX_SLACK_CHANNELS"):
            slack.read_channels(wrong)


@pytest.mark.parametrize(
    ("text", "files", "summary"),
    [
        ("", 0, "#alerts: no text"),
        ("\n  \n a \nb", 1, "#alerts: a (1 file)"),
        ("", 2, "#alerts: no text (2 files)"),
    ],
)
def test_the_summary(text, files, summary):
    assert slack.summarise(slack.Channel(ALERTS, "alerts", member=True), text, files) == summary


def test_what_was_kept_outlives_a_restart(start_sandbox, tmp_path):
    options = {"SANDBOX_SLACK_BOT_TOKEN": TOKEN}
    with start_sandbox(tmp_path, **options) as server:
        number = uploaded(server)
    with start_sandbox(tmp_path, **options) as server:
        assert complete(server, number, channel_id=ALERTS)["ok"]
        (post,) = posts(server, 0)
        assert requests.get(server.url + post["files"][0]["url"], timeout=10).content == PNG


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)
ours = settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])


@ours
@given(
    method=st.sampled_from(
        ["chat.postMessage", "files.getUploadURLExternal", "files.completeUploadExternal"]
    ),
    fields=st.dictionaries(
        st.sampled_from(
            ["text", "blocks", "thread_ts", "filename", "length", "files", "initial_comment"]
        ),
        anything,
    ),
    channel=st.sampled_from([ALERTS, PRIVATE]) | anything,
)
def test_any_call_is_answered_in_slacks_shape(sandbox, method, fields, channel):
    body = json.dumps({"channel": channel, "channel_id": channel, **fields})
    response = call(
        sandbox, method, data=body.encode(), headers={"Content-Type": "application/json"}
    )
    assert response.status_code == 200, response.text
    answer = response.json()
    assert answer["ok"] or isinstance(answer["error"], str)


@ours
@given(
    st.text(min_size=1, max_size=300).filter(lambda name: name.isprintable()), st.binary(min_size=1)
)
def test_any_name_and_any_bytes_come_back(sandbox, name, content):
    before = sandbox.last()
    assert complete(sandbox, uploaded(sandbox, name, content), channel_id=ALERTS)["ok"]
    (file,) = posts(sandbox, before)[0]["files"]
    assert (file["name"], file["size"]) == (name, len(content))
    assert requests.get(sandbox.url + file["url"], timeout=10).content == content
