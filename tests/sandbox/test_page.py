import os
import shutil
import time

import pytest
import requests
from playwright.sync_api import sync_playwright

from sandbox.inbox import open_inbox

FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@pytest.fixture
def full(start_sandbox, tmp_path):
    inbox = open_inbox(tmp_path / "data")
    for number in range(1000):
        inbox.add("mackerel", f"item {number}", {"points": [{"name": "a"}] * 100})
    inbox.add("ch<b>annel&", "svc: <script>document.title='bad'</script>", {"</pre><script>": "x"})
    inbox.connection.close()
    with start_sandbox(tmp_path) as server:
        yield server


def test_an_empty_inbox_says_so(start_sandbox, tmp_path):
    with start_sandbox(tmp_path) as server:
        assert "Nothing here yet" in requests.get(server.url, timeout=10).text


def test_a_thousand_items_are_escaped_and_quick(full):
    begun = time.monotonic()
    response = requests.get(full.url, timeout=10)
    assert time.monotonic() - begun < 2
    html = response.text
    assert len(html) < 5_000_000
    assert html.count("<details>") == 1000
    assert "<script" not in html
    assert "http" not in html.replace("http-equiv", "")
    assert html.index("item 999") < html.index("item 998")
    assert "item 0<" not in html
    assert "The newest 1000 of 1001" in html
    assert "default-src 'none'" in response.headers["Content-Security-Policy"]
    one = requests.get(full.url, params={"channel": "ch<b>annel&"}, timeout=10).text
    assert one.count("<details>") == 1


@pytest.fixture
def chromium():
    program = shutil.which("chromium")
    if not program and os.environ.get("CI") != "true":
        pytest.skip("Chromium is not installed: the page was not looked at")
    assert program, "Chromium is not installed"
    return program


@pytest.mark.browser
def test_a_script_in_a_name_is_text(full, chromium):
    asked = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=FLAGS)
        page = browser.new_page(viewport={"width": 360, "height": 700}, color_scheme="dark")
        page.on("request", lambda request: asked.append(request.url))
        page.goto(full.url)
        first = page.locator("li").first
        assert first.locator(".what").inner_text() == "svc: <script>document.title='bad'</script>"
        assert page.title() == "Inbox · Mimamori sandbox"
        assert not first.locator("pre").is_visible()
        first.locator("summary").click()
        assert "</pre><script>" in first.locator("pre").inner_text()
        assert page.evaluate("document.documentElement.scrollWidth") <= 360
        assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(21, 23, 26)"
        browser.close()
    assert [url for url in asked if not url.startswith("data:")] == [f"{full.url}/"]
