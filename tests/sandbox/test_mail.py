"""Mails: from the laptop's AWS into the inbox, and on the page, with a person in Chromium at it."""

import json
import re
import threading
import time
from contextlib import closing, contextmanager
from datetime import datetime
from email.message import EmailMessage
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import requests
from playwright.sync_api import expect

from sandbox.inbox import open_inbox
from sandbox.mail import height, linked
from tests.sandbox.conftest import FONT
from tests.support import until

SENDER = "mimamori@example.com"
NAMED = "=?UTF-8?B?6KaL5a6I44KK?= <mimamori@example.com>"  # 見守り
SUBJECT, TEXT = "【見守り】書き出しができました", "できました。\nhttps://example.com/x です"
HTML = (
    '<h2>できました</h2><p style="color: rgb(1, 2, 3)"><a href="https://example.com/x">取る</a></p>'
)
EVIL = "</iframe></article><script>document.title='bad'</script><img src=x onerror=alert(1)>"
LONG = "あ" * 200 + "x" * 200


def encoded(text):
    return {"Data": text, "Charset": "UTF-8"}


def by_v2(client, aws, text=TEXT, html=HTML):
    return client("sesv2", aws).send_email(
        FromEmailAddress=NAMED,
        Destination={
            "ToAddresses": ["aoi@example.jp", "ren@example.jp"],
            "CcAddresses": ["emma@example.com"],
            "BccAddresses": ["audit@example.com"],
        },
        Content={
            "Simple": {
                "Subject": encoded(SUBJECT),
                "Body": {"Text": encoded(text), "Html": encoded(html)},
            }
        },
    )["MessageId"]


def by_v1(client, aws, subject=SUBJECT):
    return client("ses", aws).send_email(
        Source=SENDER,
        Destination={"ToAddresses": ["aoi@example.jp"]},
        Message={"Subject": encoded(subject), "Body": {"Html": encoded(HTML)}},
    )["MessageId"]


@pytest.fixture(scope="module", autouse=True)
def identity(aws, client):
    client("sesv2", aws).create_email_identity(EmailIdentity=SENDER)


def test_a_mail_is_there_as_it_was_sent(front, aws, client):
    before, begun = front.last(), time.time()
    sent = by_v2(client, aws)
    (item,) = front.inbox(after=before)  # at once
    assert (item["channel"], item["summary"]) == (
        "mail",
        f"aoi@example.jp, ren@example.jp: {SUBJECT}",
    )
    sent_at = datetime.fromisoformat(item["body"].pop("sent_at"))
    assert begun - 1 < sent_at.timestamp() < time.time() + 1
    assert item["body"] == {
        "message_id": sent,
        "from": "見守り <mimamori@example.com>",
        "to": ["aoi@example.jp", "ren@example.jp"],
        "cc": ["emma@example.com"],
        "bcc": ["audit@example.com"],
        "subject": SUBJECT,
        "text": TEXT,
        "html": HTML,
        "type": "v2.SendEmail",
    }


def test_the_older_api_and_raw_mails(front, aws, client):
    before = front.last()
    ids = [by_v1(client, aws)]
    raw = EmailMessage()
    raw["From"], raw["To"], raw["Subject"] = SENDER, "aoi@example.jp", SUBJECT
    raw.set_content(TEXT)
    data = {"Data": raw.as_bytes()}
    ids.append(client("ses", aws).send_raw_email(RawMessage=data)["MessageId"])
    ids.append(client("sesv2", aws).send_email(Content={"Raw": data})["MessageId"])
    first, second, third = [item["body"] for item in front.inbox(after=before, channel="mail")]
    assert [body["message_id"] for body in (first, second, third)] == ids
    assert (first["text"], first["html"], first["type"]) == ("", HTML, "SendEmail")
    assert (second["from"], second["to"], second["html"]) == (SENDER, ["aoi@example.jp"], "")
    assert (second["subject"], second["text"].strip()) == (SUBJECT, TEXT)
    assert (third["to"], third["subject"]) == ([], SUBJECT)  # the AWS does not tell to whom


def test_a_mail_that_ses_refuses_is_none(front, aws, client):
    before, ses = front.last(), client("ses", aws)
    with pytest.raises(ses.exceptions.MessageRejected):
        ses.send_email(
            Source="stranger@example.org",
            Destination={"ToAddresses": ["aoi@example.jp"]},
            Message={"Subject": encoded("x"), "Body": {"Text": encoded("x")}},
        )
    assert front.inbox(after=before) == []


def test_a_restart_of_the_sandbox_neither_repeats_nor_loses(start_sandbox, aws, client, tmp_path):
    by_v1(client, aws, "before")
    with start_sandbox(tmp_path, aws=aws.url) as server:
        kept = server.inbox()
    assert kept[-1]["body"]["subject"] == "before"
    by_v1(client, aws, "meanwhile")
    with start_sandbox(tmp_path, aws=aws.url) as server:
        found = server.inbox()
        assert found[:-1] == kept
        assert found[-1]["body"]["subject"] == "meanwhile"


# An AWS that comes and goes.


def mail(name, at=1_795_434_000.5):
    return {
        "MessageId": name,
        "Source": SENDER,
        "To": ["aoi@example.jp"],
        "CC": [],
        "BCC": [],
        "Subject": f"subject {name}",
        "BodyText": TEXT,
        "BodyHtml": None,
        "Timestamp": at,
        "Type": "SendEmail",
    }


class Aws(ThreadingHTTPServer):
    """As much of AWS as tells of its mails."""

    answer = b"{}"

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.send_header("Content-Length", str(len(self.server.answer)))
            self.end_headers()
            self.wfile.write(self.server.answer)

        do_POST = do_GET  # noqa: N815

        def log_message(self, *_):
            pass

    def says(self, **mails):
        self.answer = json.dumps({"messages": mails}).encode()


@contextmanager
def an_aws(port=0):
    with Aws(("127.0.0.1", port), Aws.Handler) as aws:
        thread = threading.Thread(target=aws.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield aws
        finally:
            aws.shutdown()
            thread.join()


def test_an_aws_that_starts_again(start_sandbox, tmp_path):
    def ids():
        return [item["body"]["message_id"] for item in server.inbox()]

    with an_aws() as aws:
        aws.says(root=[mail("2", 20), mail("1", 10)], other=[mail("3", 15)])
        with start_sandbox(tmp_path, aws=f"http://127.0.0.1:{aws.server_port}") as server:
            assert ids() == ["1", "3", "2"]
            aws.says()
            assert ids() == ["1", "3", "2"]
            aws.says(root=[mail("1", 10), mail("4", 5)])
            assert ids() == ["1", "3", "2", "4"]
            for odd in (b"", b"<html>", b'{"message": "no"}', b"\xff"):
                aws.answer = odd
                assert ids() == ["1", "3", "2", "4"]
            aws.shutdown()
            aws.server_close()
            assert ids() == ["1", "3", "2", "4"]
            with an_aws(aws.server_port) as again:
                again.says(root=[mail("5")])
                # Nobody asks for the inbox: the page does not fetch mails itself.
                page = f"{server.url}/?channel=mail"
                until(lambda: "subject 5" in requests.get(page, timeout=10).text)
                again.says(root=[mail("5"), mail("6")])
                until(lambda: "subject 6" in requests.get(page, timeout=10).text)
            assert ids() == ["1", "3", "2", "4", "5", "6"]


# What people see.


@pytest.mark.parametrize(
    ("text", "html"),
    [
        ("<b> & \"'", "&lt;b&gt; &amp; &#34;&#39;"),
        (
            "ここ、https://a.example/x?y=1&z=%41_。はい",
            "ここ、{https://a.example/x?y=1&amp;z=%41_}。はい",
        ),
        ("(http://127.0.0.1:4600/a/-_~).", "({http://127.0.0.1:4600/a/-_~})."),
        ("https://a.example/\nhttps://b.example", "{https://a.example/}\n{https://b.example}"),
        ("https://a.example/'><script>", "{https://a.example/}&#39;&gt;&lt;script&gt;"),
        ("javascript:alert(1) ftp://a https:// http", "javascript:alert(1) ftp://a https:// http"),
    ],
    ids=["markup", "japanese", "brackets", "lines", "breaking out", "none"],
)
def test_addresses_are_links(text, html):
    link = r'<a href="([^"]+)" target="_blank" rel="noopener noreferrer">\1</a>'
    assert re.sub(link, r"{\1}", str(linked(text))) == html


def test_a_frame_is_as_tall_as_what_it_has():
    short, usual, long = (height("<p>できました。</p>" * n) for n in (1, 8, 100))
    assert 80 < short < usual < long == 560
    assert height(f"<head><style>{'p {}' * 999}</style></head><p>a</p>") == short
    assert height("<" * 100_000) <= long


@pytest.fixture
def served(start_sandbox, tmp_path):
    with start_sandbox(tmp_path) as server:
        yield server


@pytest.fixture
def put(tmp_path):
    """Return a function that puts a mail into the inbox."""

    def put(subject=SUBJECT, text=TEXT, html=HTML, sender=SENDER, to="aoi@example.jp"):
        inbox = open_inbox(tmp_path / "data")
        with closing(inbox.connection):
            inbox.add("mail", f"{to}: {subject}", {
                "message_id": "m", "from": sender, "to": [to], "cc": ["ren@example.jp"], "bcc": [],
                "subject": subject, "text": text, "html": html,
                "sent_at": "2026-11-23T15:00:01.250+00:00", "type": "SendEmail",
            })  # fmt: skip

    return put


def test_a_mails_html_is_a_page_that_can_do_nothing(served, put):
    put()
    put(html="")
    answer = requests.get(f"{served.url}/mail/1", timeout=10)
    assert answer.text.endswith(HTML)
    policy = answer.headers["Content-Security-Policy"].split("; ")
    assert {"default-src 'none'", "img-src data:", "form-action 'none'"} <= set(policy)
    # A link may lead to a file: what is said here holds for the tab, too, that it opens.
    assert "sandbox allow-popups allow-popups-to-escape-sandbox allow-downloads" in policy
    assert answer.headers["Referrer-Policy"] == "no-referrer"
    for none in ("2", "3", "0", "-1", "x", "9" * 18, "9" * 5000):
        assert requests.get(f"{served.url}/mail/{none}", timeout=10).status_code == 404


def test_odd_bodies_do_not_break_the_page(served, tmp_path):
    odd = [None, 3, [], {}, {"message_id": 3}, {"message_id": "m", "sent_at": 3, "html": 3}]
    odd.append({"message_id": "m", "sent_at": "2026-11-23T15:00:01+00:00", "html": 3, "to": 3})
    inbox = open_inbox(tmp_path / "data")
    with closing(inbox.connection):
        for body in odd:
            inbox.add("mail", "odd", body)
    assert requests.get(served.url, timeout=10).text.count("<article") == len(odd)
    assert requests.get(f"{served.url}/mail/{len(odd)}", timeout=10).status_code == 200


@pytest.mark.browser
def test_a_mail_looks_like_one(served, put, look):
    put(sender="見守り <mimamori@example.com>")
    page = look(served, "/?channel=mail")
    item = page.locator("#item-1")
    expect(item.locator("h3")).to_have_text(SUBJECT)
    expect(item.locator(".who b")).to_have_text("見守り <mimamori@example.com>")
    expect(item.locator("time")).to_have_text("11-24 00:00:01")
    expect(item.locator(".people")).to_have_text("to aoi@example.jp cc ren@example.jp")
    letter = item.frame_locator("iframe")
    expect(letter.locator("h2")).to_have_text("できました")
    expect(letter.locator("p")).to_have_css("color", "rgb(1, 2, 3)")  # its own styles count
    assert page.frames[1].evaluate(FONT, "見") == ["loaded"]
    expect(item.locator(".comment")).to_be_hidden()
    page.locator("#alone-1").focus()
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(item.locator(".comment")).to_have_text(TEXT)
    expect(item.locator(".comment a")).to_have_attribute("href", "https://example.com/x")

    frame = item.locator("iframe").element_handle()
    put(html="", text="only text, https://example.com/y")  # news leave the frame alone
    expect(page.locator("#item-2 .comment")).to_be_visible()
    expect(page.locator("#item-2 .comment a")).to_have_text("https://example.com/y")
    assert frame.evaluate("frame => frame.isConnected")
    assert look.asked.count(f"{served.url}/mail/1") == 1


@pytest.mark.browser
@pytest.mark.parametrize("where", ["frame", "text", "alone"])
def test_links_open_in_a_tab_of_their_own(served, put, look, where):
    put(html="" if where == "text" else HTML)
    page = look(served, "/mail/1" if where == "alone" else "/")
    page.context.route("https://example.com/**", lambda route: route.fulfill(body="the file"))
    within = page.frame_locator("#item-1 iframe") if where == "frame" else page
    link = within.locator("a[href='https://example.com/x']")
    link.focus()
    with page.context.expect_page() as opened:
        page.keyboard.press("Enter")
    expect(opened.value.locator("body")).to_have_text("the file")
    assert opened.value.url == "https://example.com/x"
    assert opened.value.evaluate("window.opener") is None
    assert opened.value.evaluate("document.referrer") == ""
    assert page.url.startswith(served.url)


@pytest.mark.browser
def test_a_mail_can_do_nothing(served, put, look):
    html = (
        f"<p>here</p>{EVIL}<form action='/faults' method=post><input type=submit id=send></form>"
        "<a id=top href='/?channel=x' target=_top>top</a><a id=js href='javascript:alert(1)'>js</a>"
        "<img src='https://tracker.example/p.png'><img src='/static/icon.svg'>"
        "<meta http-equiv=refresh content='0; url=https://tracker.example/'>"
        "<base href='https://tracker.example/'><link rel=stylesheet href='https://tracker.example/s'>"
        "<iframe src='/'></iframe><style>@import 'https://tracker.example/i'; p { color: red }"
    )
    put(subject=EVIL, html=html, text=EVIL, sender=EVIL, to=EVIL)
    got = []
    page = look(served)
    page.context.on("requestfinished", lambda request: got.append(request.url))
    page.reload()
    letter = page.frame_locator("#item-1 iframe").first
    expect(letter.locator("p")).to_have_text("here")
    expect(page.locator("#item-1 h3")).to_have_text(EVIL)
    letter.locator("#send").click()
    letter.locator("#top").click()
    page.locator("#summary-text-1").click()
    expect(page.locator("#item-1 .comment")).to_have_text(EVIL)
    put(subject="later")  # and the page goes on
    expect(page.locator("#item-2")).to_be_visible()
    expect(page).to_have_title("Mimamori inbox")
    assert page.url == f"{served.url}/"
    assert page.locator("script:not([src]), img[src=x]").count() == 0
    assert page.frames[1].evaluate("window.origin") == "null"
    assert [url for url in got if not url.startswith(served.url)] == []
    assert requests.get(f"{served.url}/faults", timeout=10).json() == []
    assert all("sandboxed" in text or "Content Security Policy" in text for text in look.odd), (
        look.odd
    )
    look.odd.clear()  # the browser says what it refused
    look.asked[:] = [url for url in look.asked if "tracker.example" not in url]


@pytest.mark.browser
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1000])
def test_any_room_and_width(served, put, look, scheme, width):
    put(LONG, LONG, f"<p>{LONG}</p><table width=900><tr><td>wide</table>", LONG, LONG)
    put(LONG, f"{LONG} https://example.com/{'y' * 300}", "")
    page = look(served, viewport={"width": width, "height": 740}, color_scheme=scheme)
    page.locator("#summary-text-1").click()
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    # A mail is written on white paper.
    letter = page.frame_locator("#item-1 iframe")
    expect(letter.locator("body")).to_have_css("background-color", "rgb(255, 255, 255)")
    expect(letter.locator("body")).to_have_css("color", "rgb(36, 35, 31)")
    box = page.locator("#item-1 iframe").bounding_box()
    assert 96 <= box["height"] <= 560
    assert box["width"] > 0.6 * width
