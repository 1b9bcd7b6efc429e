import json
import re
import struct
import threading
import time
import zlib
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import requests
from playwright.sync_api import expect

from sandbox.fonts import japanese
from sandbox.inbox import open_inbox
from sandbox.page import mrkdwn, picture
from tests.sandbox.conftest import FONT
from tests.support import until

SCRIPT = "<script>document.title='bad'</script><img src=x onerror=alert(1)>"
START = "START RequestId: {0} Version: 1"
REPORT = "REPORT RequestId: {0}\tDuration: 43 ms\tBilled Duration: 43 ms"
TRACE = ("Traceback (most recent call last):", "  File …", f"common.InvalidEvent: {SCRIPT}")


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


PNG = (
    b"\x89PNG\r\n\x1a\n"
    + chunk(b"IHDR", struct.pack(">IIBBBBB", 600, 400, 8, 0, 0, 0, 0))
    + chunk(b"IDAT", zlib.compress((b"\0" + b"\x80" * 600) * 400))
    + chunk(b"IEND", b"")
)


def slack(text="*本日* の推移", files=2, **more):
    return {
        "channel": "C0123456789",
        "channel_name": "alerts",
        "text": text,
        "thread_ts": None,
        "ts": "1795434000.000100",
        "files": [
            {
                "id": f"F{n}",
                "title": f"TREND {n}",
                "name": f"{n}.png",
                "mimetype": "image/png",
                "size": len(PNG),
                "url": f"/files/F{n}/{n}.png",
            }
            for n in range(files)
        ],
        **more,
    }


def add(folder, channel, summary, body, times=1):
    inbox = open_inbox(folder / "data")
    for number in range(times):
        inbox.add(channel, f"{summary} {number}" if times > 1 else summary, body)
    inbox.connection.close()


def post_metric(server, name, value, at=None):
    response = requests.post(
        f"{server.url}/api/v0/services/ore-no-service/tsdb",
        json=[{"name": name, "time": at or int(time.time()), "value": value}],
        headers={"X-Api-Key": "a-key-of-the-tests"},
        timeout=10,
    )
    assert response.ok, response.text


@pytest.fixture
def served(start_sandbox, tmp_path):
    with start_sandbox(tmp_path) as server:
        yield server


@pytest.mark.parametrize(
    ("text", "html"),
    [
        ("*bold* and 2*3*4", "<b>bold</b> and 2*3*4"),
        ("*a b*\n*c*", "<b>a b</b>\n<b>c</b>"),
        ("* no* ** _no_ ~no~", "* no* ** _no_ ~no~"),
        ("a &amp; b &lt;c&gt;", "a &amp; b &lt;c&gt;"),
        ("&amp;lt;", "&amp;lt;"),
        ("<https://example.com/a?b=1|here>", "here (https://example.com/a?b=1)"),
        ("<https://example.com>", "https://example.com"),
        ("<javascript:alert(1)|x>", "&lt;javascript:alert(1)|x&gt;"),
        ("*<b>*", "<b>&lt;b&gt;</b>"),
        (SCRIPT, "&lt;script&gt;document.title=&#39;bad&#39;&lt;/script&gt;"),
    ],
)
def test_mrkdwn(text, html):
    assert str(mrkdwn(text)).startswith(html)
    assert "<script" not in mrkdwn(text)


@pytest.mark.parametrize(
    ("file", "path"),
    [
        ({"mimetype": "image/png", "url": "/files/F1/a.png"}, "/files/F1/a.png"),
        ({"mimetype": "image/png", "url": "http://elsewhere/files/F1/a.png"}, "/files/F1/a.png"),
        ({"mimetype": "image/png", "url": "//elsewhere/a.png"}, None),
        ({"mimetype": "image/png", "url": "javascript:alert(1)"}, None),
        ({"mimetype": "text/csv", "url": "/files/F1/a.csv"}, None),
        ({"mimetype": 1}, None),
        (None, None),
    ],
)
def test_pictures_come_from_the_sandbox_alone(file, path):
    assert picture(file) == path


def test_an_empty_inbox_says_so_and_that_aws_is_away(served):
    response = requests.get(served.url, timeout=10)
    assert "Nothing here yet" in response.text
    until(lambda: "AWS does not answer" in requests.get(served.url, timeout=10).text)
    assert "● " not in response.text
    policy = response.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy


@pytest.mark.browser
@pytest.mark.parametrize("selector", [".avatar", ".phone h3", ".item .words", ".item pre"])
def test_japanese_is_shown_whatever_fonts_the_machine_has(served, look, tmp_path, selector):
    add(tmp_path, "plain", "障害のお知らせ", "見守り")
    page = look(served)
    page.locator(".item summary").click()
    page.evaluate("document.fonts.ready")
    shown = page.locator(selector).first
    drawn = shown.screenshot()
    # What no font has, since Unicode does not have it, is drawn as boxes.
    boxes = re.sub(r"[^\0-\xff]", "\u0378", shown.text_content())
    shown.evaluate("(one, text) => { one.textContent = text; }", boxes)
    assert shown.screenshot() != drawn


@pytest.mark.browser
def test_the_font_that_the_sandbox_brings(served, look):
    font = requests.get(f"{served.url}/static/japanese.ttf", timeout=10)
    assert font.content == japanese().read_bytes()
    page = look(served)
    # Nobody loads 6 MB for letters that every machine has.
    assert page.evaluate(FONT, "CPU 95 %") == []
    assert page.evaluate(FONT, "見") == ["loaded"]


def test_nothing_new_costs_no_page_and_no_line_in_the_log(served, tmp_path):
    first = requests.get(served.url, timeout=10)
    for _ in range(50):
        # What is known of the functions may still be settling.
        tag = {"If-None-Match": first.headers["ETag"]}
        if (again := requests.get(served.url, headers=tag, timeout=10)).status_code == 304:
            break
        first = again
    assert (again.status_code, again.text) == (304, "")
    post_metric(served, "a.b", 1)
    assert requests.get(served.url, headers=tag, timeout=10).status_code == 200
    assert " 304" not in (tmp_path / "sandbox.log").read_text()


def test_a_thousand_items_are_pages_of_a_hundred(served, tmp_path):
    add(tmp_path, "mackerel", "item", {"points": [{"name": "a"}] * 100}, times=1000)
    add(tmp_path, "slack", "one", slack())
    html = requests.get(served.url, timeout=10).text
    assert html.count("<article") == 101
    assert "http://" not in html.replace("http://www.w3.org/2000/svg", "").replace(
        "http://127.0.0.1:9", ""
    )
    html = requests.get(f"{served.url}/?channel=mackerel", timeout=10).text
    assert html.count("<article") == 100
    assert html.index("item 999<") < html.index("item 900<")
    assert "item 899<" not in html
    older = f"{served.url}/?channel=mackerel&before=901"
    assert older.removeprefix(served.url).replace("&", "&amp;") in html
    html = requests.get(older, timeout=10).text
    assert html.index("item 899<") < html.index("item 800<")
    assert html.count("<article") == 100
    last = requests.get(f"{served.url}/?channel=mackerel&before=101", timeout=10).text
    assert last.count("<article") == 100
    assert 'rel="next"' not in last


def test_before_takes_an_id(served):
    for before in ("", "x", "-1", "1.5", "9" * 30):
        response = requests.get(served.url, params={"before": before}, timeout=10)
        assert (response.status_code, response.json()["field"]) == (400, "before")


def test_a_channel_without_a_template_is_shown_plainly(served, tmp_path):
    for channel in ("../inbox", "a\0b", "..", "日本", "ch<b>annel&", "plain"):
        add(tmp_path, channel, "something", {"a": 1})
        html = requests.get(served.url, params={"channel": channel}, timeout=10).text
        assert html.count("<article") == 1
        assert "something" in html


def test_odd_bodies_do_not_break_the_page(served, tmp_path):
    bodies = (None, 3, [], {"text": 3, "files": "x"}, {"files": [1, None]}, {"points": 3})
    bodies += ({"event": "ended", "said": 3, "pressed": 3, "status": []},)
    channels = ("slack", "mackerel", "twilio")
    for body in bodies:
        for channel in channels:
            add(tmp_path, channel, "odd", body)
    html = requests.get(served.url, timeout=10).text
    assert html.count("<article") == len(channels) * len(bodies)


# What people see.


@pytest.fixture
def look(look):
    """Pictures are played: the posts of these tests are made of nothing but words."""
    look.played["**/files/**"] = PNG
    return look


class Aws(ThreadingHTTPServer):
    """As much of AWS as the page asks: one function and its log."""

    class Handler(BaseHTTPRequestHandler):
        def answer(self):
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            events = [
                {"timestamp": int(at * 1000), "message": text, "logStreamName": "s"}
                for at, text in self.server.events
            ]
            answers = {
                "ListRules": {"Rules": []},
                "DescribeLogStreams": {"logStreams": [{"logStreamName": "s"}]},
                "FilterLogEvents": {"events": events},
                "": {"Functions": [{"FunctionName": "mimamori-local-a_to_b", "Timeout": 30}]},
            }
            body = json.dumps(answers[self.headers.get("X-Amz-Target", "").rpartition(".")[2]])
            self.send_response(200)
            self.send_header("Content-Length", str(len(body.encode())))
            self.end_headers()
            self.wfile.write(body.encode())

        do_GET = do_POST = answer  # noqa: N815

        def log_message(self, *_):
            pass

    def run(self, name, *lines):
        texts = [START.format(name), *lines, f"END RequestId: {name}", REPORT.format(name)]
        self.events += [(time.time(), text) for text in texts]


@pytest.fixture
def watched(start_sandbox, tmp_path):
    """A sandbox and the AWS whose function's runs it shows."""
    with Aws(("127.0.0.1", 0), Aws.Handler) as aws:
        aws.events = []
        thread = threading.Thread(target=aws.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            with start_sandbox(tmp_path, aws=f"http://127.0.0.1:{aws.server_port}") as server:
                yield server, aws
        finally:
            aws.shutdown()
            thread.join()


@pytest.mark.browser
def test_a_metric_arrives_without_a_reload(served, look):
    now = int(time.time())
    post_metric(served, "users.total", 1233, now - 300)
    page = look(served)
    page.evaluate("window.same = true")
    item = page.locator("#item-1")
    item.locator("summary").click()
    for name, value in (("users.total", 1234), ("users.active", 7), ("日本".encode().hex(), 1)):
        post_metric(served, name, value, now)
    expect(page.locator(".chart")).to_have_count(2)
    expect(page.locator("[id='chart-ore-no-service-users'] ul")).to_contain_text("total 1,234")
    expect(page.locator("[id='chart-ore-no-service-users'] svg .dot")).to_have_count(3)
    expect(page.locator("#tab-mackerel b")).to_have_text("4")
    page.locator(".fold > summary").first.click()
    expect(page.locator(".fold .item")).to_have_count(4)
    expect(item.locator("pre")).to_be_visible()  # what was open stays open
    assert page.evaluate("window.same")


@pytest.mark.browser
def test_the_first_metric_brings_its_charts(served, look):
    page = look(served)
    expect(page.locator("#empty")).to_be_visible()
    post_metric(served, "a.b", 1)
    expect(page.locator(".chart")).to_have_count(1)
    expect(page.locator("#empty")).to_have_count(0)


@pytest.mark.browser
def test_news_leave_focus_and_open_items_alone(served, tmp_path, look):
    add(tmp_path, "slack", "one", slack())
    page = look(served)
    page.locator("#summary-1").focus()
    page.keyboard.press("Enter")
    expect(page.locator("#item-1 pre")).to_be_visible()
    page.locator("#tab-slack").focus()
    add(tmp_path, "slack", "two", slack())
    expect(page.locator("#item-2")).to_be_visible()
    assert page.evaluate("document.activeElement.id") == "tab-slack"  # though its count is new
    expect(page.locator("#item-1 pre")).to_be_visible()
    first, second = (page.locator(f"#item-{n}").bounding_box()["y"] for n in (1, 2))
    assert second < first


@pytest.mark.browser
def test_a_sandbox_that_was_away(served, tmp_path, look):
    page = look(served)
    expect(page.locator("#state")).to_have_text("Live")
    page.route("**/*", lambda route: route.abort())
    expect(page.locator("#state")).to_have_text("Not connected, trying again")
    add(tmp_path, "slack", "meanwhile", slack(text="meanwhile"))
    page.unroute("**/*")
    page.route("**/files/**", lambda route: route.fulfill(body=PNG, content_type="image/png"))
    expect(page.locator(".comment")).to_have_text("meanwhile")
    expect(page.locator("#state")).to_have_text("Live")
    assert all("ERR_FAILED" in text for text in look.odd)
    look.odd.clear()


@pytest.mark.browser
def test_a_post_looks_like_one_and_its_pictures_grow(served, tmp_path, look):
    add(tmp_path, "slack", "one", slack())
    page = look(served, "/?channel=slack")
    post = page.locator("#item-1")
    expect(post.locator(".who")).to_contain_text("Mimamori")
    expect(post.locator(".who")).to_contain_text("#alerts")
    expect(post.locator(".comment b")).to_have_text("本日")
    links, viewer = post.locator("a.picture"), page.locator("#viewer")
    assert links.count() == 2
    assert links.nth(0).bounding_box()["y"] == links.nth(1).bounding_box()["y"]  # in a row
    assert page.evaluate("document.querySelector('.picture img').naturalWidth") == 600

    links.nth(1).click()
    expect(viewer).to_be_visible()
    expect(viewer.locator("figcaption")).to_have_text("TREND 1")
    assert viewer.locator("img").bounding_box()["width"] > links.nth(1).bounding_box()["width"]
    page.keyboard.press("Escape")
    expect(viewer).to_be_hidden()
    expect(page.locator("#picture-1-2")).to_be_focused()

    links.nth(0).focus()
    page.keyboard.press("Enter")
    expect(viewer.locator("figcaption")).to_have_text("TREND 0")
    add(tmp_path, "slack", "two", slack())  # news must not disturb it
    expect(page.locator("#item-2")).to_have_count(1)
    expect(viewer).to_be_visible()
    page.keyboard.press("Enter")  # on Close, where the focus is
    expect(viewer).to_be_hidden()
    expect(page.locator("#picture-1-1")).to_be_focused()


@pytest.mark.browser
@pytest.mark.parametrize("script", [True, False])
def test_tabs_are_links(served, tmp_path, look, script):
    add(tmp_path, "slack", "one", slack())
    add(tmp_path, "calls", "a call", {"to": "+81"}, times=2)
    post_metric(served, "a.b", 1)
    page = look(served, java_script_enabled=script)
    assert page.locator("#tabs a").all_inner_texts() == ["All4", "calls2", "mackerel1", "slack1"]
    expect(page.locator(".item")).to_have_count(4)
    for channel, count in (("calls", 2), ("mackerel", 1), ("slack", 1)):
        page.locator(f"#tab-{channel}").focus()
        page.keyboard.press("Enter")
        page.wait_for_url(f"{served.url}/?channel={channel}")
        expect(page.locator(".item")).to_have_count(count)
        expect(page.locator("[aria-current]")).to_have_id(f"tab-{channel}")
        expect(page).to_have_title(f"{channel} · Mimamori inbox")
    page.go_back()
    expect(page.locator(".chart")).to_have_count(1)


@pytest.mark.browser
def test_html_and_script_are_text(watched, tmp_path, look):
    server, aws = watched
    point = {"name": f"{SCRIPT}.x", "time": int(time.time()), "value": 1}
    add(tmp_path, "mackerel", SCRIPT, {"service": SCRIPT, "points": [point]})
    add(tmp_path, SCRIPT, SCRIPT, {SCRIPT: "</pre>" + SCRIPT})
    file = {"id": "F", "title": SCRIPT, "name": SCRIPT, "mimetype": "image/png"}
    files = [{**file, "url": f'/files/F/"{SCRIPT}'}, {**file, "url": "https://example.com/a.png"}]
    add(tmp_path, "slack", "x", slack(text=f"*{SCRIPT}*", files=0, channel_name=SCRIPT))
    add(tmp_path, "slack", "x", slack(text=SCRIPT, files=0) | {"files": files})
    aws.run("one", SCRIPT, *TRACE)
    page = look(server)
    expect(page.locator("#item-4 .comment")).to_have_text(SCRIPT)
    expect(page.locator("#item-3 .comment b")).to_have_text(SCRIPT)
    expect(page.locator(".chart figcaption b")).to_have_text(SCRIPT)
    expect(page.locator("#item-2 .words")).to_have_text(SCRIPT)
    expect(page.locator("#failure")).to_contain_text(SCRIPT)
    add(tmp_path, "slack", "x", slack(text=SCRIPT, files=0))  # and so does what arrives later
    expect(page.locator("#item-5 .comment")).to_have_text(SCRIPT)
    expect(page).to_have_title("● 1 failed · Mimamori inbox")
    assert page.locator("script:not([src])").count() == 0
    assert page.locator("img[src=x]").count() == 0


@pytest.mark.browser
def test_a_failure_is_seen_at_a_glance(watched, look):
    server, aws = watched
    line = {"level": "INFO", "logger": "a", "message": "posted", "posted": 62}
    aws.run("one", json.dumps(line))
    page = look(server)
    card = page.locator(".function")
    expect(card).to_contain_text("a_to_b")
    expect(card.locator(".result")).to_have_text("ok")
    expect(page).to_have_title("Mimamori inbox")
    aws.run("two", *TRACE[:2], "common.InvalidEvent: mackerel_service: missing")
    expect(page).to_have_title("● 1 failed · Mimamori inbox")
    expect(card.locator(".result")).to_have_text("failed")
    expect(page.locator("#failure")).to_contain_text("InvalidEvent: mackerel_service: missing")
    page.locator("#failure-link").focus()
    page.keyboard.press("Enter")
    expect(card.locator(".runs li")).to_have_count(2)
    expect(page.locator("#summary-two")).to_be_visible()  # what is hidden takes no key
    page.locator("#summary-two").press("Enter")
    expect(card.locator("#run-two pre")).to_be_visible()
    expect(card.locator("#run-two pre")).to_contain_text("Traceback")
    aws.run("three", json.dumps(line))
    expect(card.locator(".result")).to_have_text("ok")
    expect(card.locator("#run-two pre")).to_be_visible()  # still open
    expect(card).to_contain_text("1 of the last 3 failed")
    card.locator("#summary-one").click()
    expect(card.locator("#run-one pre")).to_have_text("INFO posted posted=62")


@pytest.mark.browser
def test_a_thousand_items_are_few_nodes_and_few_requests(served, tmp_path, look):
    now = int(time.time())
    points = [{"name": f"a.b.{n % 3}", "time": now - 60 * n, "value": n} for n in range(60)]
    add(tmp_path, "mackerel", "item", {"service": "s", "points": points}, times=1000)
    page = look(served)
    expect(page.locator(".item")).to_have_count(100)
    expect(page.locator(".chart")).to_have_count(1)
    # The page, its style, scripts and icon, and a font where the machine has no Japanese; how often
    # the page asked for itself since is up to the time.
    asked = {url.removeprefix(served.url) for url in look.asked} - {"/static/japanese.ttf"}
    assert len(asked) <= 5
    assert page.locator("*").count() < 3000


@pytest.mark.browser
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1000])
def test_any_room_and_width(watched, tmp_path, look, scheme, width):
    server, aws = watched
    long = "あ" * 200 + "x" * 200
    now = int(time.time())
    add(tmp_path, "slack", long, slack(text=f"*{long}*\n{long}", files=3))
    add(tmp_path, "mackerel", long, {"points": [{"name": f"{long}.y", "time": now, "value": 1}]})
    add(tmp_path, long, long, {long: long})
    aws.run("one", long, *TRACE[:2], f"{long}: {long}")
    page = look(
        server,
        viewport={"width": width, "height": 740},
        color_scheme=scheme,
        timezone_id="America/New_York",
    )
    for closed in ("#functions > details", "#functions .runs details", "#item-3 details"):
        page.locator(f"{closed} > summary").first.click()
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    dark = page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(21, 23, 26)"
    assert dark == (scheme == "dark")
    stamp = page.locator("#item-1 time").get_attribute("datetime")
    assert stamp.endswith("+09:00")
    # Not the text as laid out: what is out of view is not laid out yet.
    assert stamp[11:19] in page.locator("#item-1 time").text_content()
    page.locator("a.picture").first.click()
    expect(page.locator("#viewer")).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= width
