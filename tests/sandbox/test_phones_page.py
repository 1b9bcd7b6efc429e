"""The phones of the page, with a person in Chromium at them."""

import json
import re

import pytest
import requests
from playwright.sync_api import expect

from tests.sandbox.conftest import AOI, CALLER, PHONES, REN
from tests.sandbox.hooks import (
    act,
    advance,
    dial,
    ended,
    gather,
    heard,
    hooking,
    quiet,
    ringing,
    script,
)
from tests.support import until

BAD = "+819000000066"
SCRIPT = "<script>document.title='bad'</script><img src=x onerror=alert(1)>"
ESCAPED = SCRIPT.replace("<", "&lt;").replace(">", "&gt;")
LONG = "あ" * 200 + "x" * 200
QUESTION, THANKS = "確認したら 1 を押してください。", "ありがとうございました。"


def card(page, number=AOI):
    return page.locator(f"#phone-{number[1:]}")


def button(page, name, number=AOI):
    return page.locator(f"#phone-{number[1:]}-{name}")


def last(server, number=AOI):
    phones = requests.get(f"{server.url}/twilio/phones", timeout=10).json()
    return next(phone["last"] for phone in phones if phone["number"] == number)


def focused(page):
    return page.evaluate("document.activeElement.id")


@pytest.fixture(scope="module")
def server(start_sandbox, tmp_path_factory):
    phones = json.dumps([*PHONES, {"number": BAD, "name": SCRIPT}])
    with start_sandbox(tmp_path_factory.mktemp("phones"), SANDBOX_PHONES=phones) as server:
        yield server


@pytest.fixture
def hook(server):
    with hooking() as hook:
        yield hook
        quiet(server)


def test_without_phones_there_is_nothing_of_them(start_sandbox, tmp_path):
    with start_sandbox(tmp_path, SANDBOX_PHONES="[]") as server:
        html = requests.get(server.url, timeout=10).text
    assert "phones" not in html


def test_a_ring_is_news(server, hook):
    tags = [requests.head(server.url, timeout=10).headers["ETag"]]
    dial(server, hook)
    ringing(server)
    for what in ("answer", "hangup"):
        hook.say("/start", gather())
        tags.append(requests.head(server.url, timeout=10).headers["ETag"])
        act(server, what)
    assert len(set(tags)) == 3


@pytest.mark.browser
def test_a_call_by_keyboard_alone(server, hook, look):
    hook.say("/start", "<Say>見守りです。</Say>", gather(QUESTION, f"{hook.url}/keys"))
    hook.say("/keys", f"<Say>{THANKS}</Say>", '<Pause length="60"/>')
    page = look(server)
    phone, said = card(page), button(page, "said")
    expect(phone.locator("button")).to_have_count(0)
    page.locator("#tab").focus()
    call = dial(server, hook)
    expect(button(page, "answer")).to_be_visible()
    assert focused(page) == "tab"  # a ring takes nobody's focus
    expect(page).to_have_title("☎ 佐藤 葵 is ringing · Mimamori inbox")
    icon = page.evaluate("document.querySelector('link[rel=icon]').href")
    assert icon == f"{server.url}/static/ringing.svg"
    expect(phone.locator(".bell")).to_have_css("animation-name", "halo")
    expect(phone).to_contain_text(f"from {CALLER}")

    button(page, "answer").press("Enter")
    expect(said.locator(".spoken")).to_have_text(["見守りです。", QUESTION])
    assert focused(page) == phone.get_attribute("id")
    expect(page).to_have_title("Mimamori inbox")
    page.keyboard.press("Tab")
    assert focused(page) == button(page, "key-1").get_attribute("id")
    region = said.element_handle()
    page.keyboard.press("1")
    expect(said.locator(".spoken").last).to_have_text(THANKS)
    assert [one.Digits for one in hook.at("/keys")] == ["1"]
    # What was there stays: the key has the focus, and only the new text is read out.
    assert focused(page) == button(page, "key-1").get_attribute("id")
    assert region.evaluate("region => region.isConnected && region.role == 'status'")

    page.keyboard.press("Shift+Tab")
    for _ in range(13):
        page.keyboard.press("Tab")
    page.keyboard.press("Enter")  # on Hang up, the last of its buttons
    expect(phone.locator("button")).to_have_count(0)
    assert focused(page) == phone.get_attribute("id")
    assert ended(server, call).status == "completed"
    # The last words stay, now and for whoever opens the page later.
    for _ in range(2):
        expect(phone.locator(".result")).to_have_text("completed")
        expect(button(page, "from")).to_contain_text(re.compile(r"last call .*pressed 1$"))
        expect(said.locator(".spoken")).to_have_text(["見守りです。", QUESTION, THANKS])
        expect(phone).to_have_class(re.compile(r"\bidle\b"))
        page.reload()

    item = page.locator(".item", has=page.locator(".result")).first
    expect(item.locator(".who")).to_contain_text("佐藤 葵 completed")
    expect(item.locator(".when").last).to_have_text(f"{AOI} from {CALLER}")
    expect(item.locator(".spoken")).to_have_text(["見守りです。", QUESTION, THANKS])
    expect(item.locator("kbd")).to_have_text(["1"])


@pytest.mark.browser
def test_two_phones_by_mouse(server, hook, look):
    page = look(server)
    hook.say("/start", gather("one", f"{hook.url}/keys"))
    first = dial(server, hook)
    ringing(server)
    second = dial(server, hook, to=REN)
    expect(page).to_have_title("☎ 佐藤 葵 and 1 more are ringing · Mimamori inbox")
    button(page, "answer").click()
    expect(button(page, "said")).to_contain_text("one")
    button(page, "decline", REN).click()
    expect(button(page, "decline", REN)).to_have_count(0)
    assert ended(server, second).status == "busy"
    expect(page.locator(".item .who").first).to_contain_text("鈴木 蓮 busy")

    hook.say("/start", gather("two", f"{hook.url}/others"))
    dial(server, hook, to=REN)
    button(page, "answer", REN).click()
    expect(button(page, "said", REN)).to_contain_text("two")
    page.locator("#tab").focus()
    page.keyboard.press("1")  # for whom?
    expect(page.locator("#phones-words")).to_contain_text("choose one")
    button(page, "key-hash", REN).click()
    until(lambda: hook.at("/others"))
    assert [one.Digits for one in hook.at("/others")] == ["#"]
    assert hook.at("/keys") == []
    expect(page.locator("#phones-words")).to_be_empty()
    expect(button(page, "hangup", REN)).to_have_count(0)  # there was no more to say
    page.locator("#tab").focus()
    page.keyboard.press("*")  # for the only one
    until(lambda: hook.at("/keys"))
    assert [one.Digits for one in hook.at("/keys")] == ["*"]
    assert ended(server, first).status == "completed"


@pytest.mark.browser
def test_a_person_who_is_late_is_told(server, hook, look):
    page = look(server)
    dial(server, hook)
    expect(button(page, "answer")).to_be_visible()
    # No news, once what was asked for before is there.
    with page.expect_request(f"{server.url}/"):
        page.route(f"{server.url}/", lambda route: route.fulfill(status=304))
    with page.expect_request(f"{server.url}/"):
        pass
    act(server, "decline")
    button(page, "answer").click()
    expect(page.locator("#phones-words")).to_have_text(f"{AOI} does not ring")
    page.unroute(f"{server.url}/")
    expect(button(page, "answer")).to_have_count(0)
    assert len(look.odd) == 1
    assert "409" in look.odd.pop()


@pytest.mark.browser
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_markup_long_texts_and_little_room(server, hook, look, scheme):
    hook.say("/start", f"<Say>{LONG}</Say>", gather(ESCAPED, f"{hook.url}/keys"))
    page = look(
        server,
        viewport={"width": 360, "height": 740},
        color_scheme=scheme,
        reduced_motion="reduce",
    )
    dial(server, hook, to=BAD)
    expect(card(page, BAD).locator("h3")).to_have_text(SCRIPT)
    expect(button(page, "answer", BAD)).to_be_visible()
    expect(page).to_have_title(f"☎ {SCRIPT} is ringing · Mimamori inbox")
    expect(card(page, BAD).locator(".bell")).to_have_css("animation-name", "none")
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    button(page, "answer", BAD).click()
    until(lambda: heard(server, BAD)["said"])
    advance(server, 2)
    newest = button(page, "said", BAD).locator(".spoken").last
    expect(newest).to_have_text(SCRIPT)
    expect(newest).to_be_in_viewport()
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    button(page, "hangup", BAD).click()
    expect(page.locator(".item .spoken", has_text=SCRIPT).first).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    assert page.locator("script:not([src]), img[src=x]").count() == 0
    # What is too long for its card is scrolled; its end is what one sees.
    expect(button(page, "said", BAD).locator(".spoken")).to_have_text([LONG, SCRIPT])
    page.reload()
    card(page, BAD).scroll_into_view_if_needed()
    expect(newest).to_be_in_viewport()
    expect(button(page, "from", BAD)).to_be_in_viewport()


def test_the_last_words_stay_until_the_next_call_rings(server, hook):
    hook.say("/start", "<Say>one</Say>")
    script(server, {"answer": []})
    first = ended(server, dial(server, hook))
    kept = last(server)
    assert (kept["sid"], kept["status"], kept["said"]) == (first.sid, "completed", ["one"])
    # A call that never rang the phone is none of its own.
    script(server, {"ring": "fail"})
    assert ended(server, dial(server, hook)).status == "failed"
    assert last(server) == kept
    second = dial(server, hook)
    ringing(server)
    assert last(server) is None
    # Nor is one that found it busy.
    assert ended(server, dial(server, hook)).status == "busy"
    assert last(server) is None
    second.update(status="canceled")
    kept = last(server)
    assert (kept["sid"], kept["status"], kept["said"]) == (second.sid, "canceled", [])


def test_each_phone_keeps_its_own_last_words(server, hook):
    for number, words in ((AOI, "for Aoi"), (REN, "for Ren")):
        script(server, {"answer": []}, number=number)
        hook.say("/start", f"<Say>{words}</Say>")
        ended(server, dial(server, hook, to=number))
    assert [last(server, number)["said"] for number in (AOI, REN)] == [["for Aoi"], ["for Ren"]]


@pytest.mark.browser
@pytest.mark.parametrize(
    ("step", "status"), [("busy", "busy"), ("no-answer", "no-answer"), ("decline", "busy")]
)
def test_a_call_that_nobody_answered_left_no_words(server, hook, look, step, status):
    script(server, {"ring": step})
    ended(server, dial(server, hook))
    page = look(server)
    expect(card(page).locator(".result")).to_have_text(status)
    expect(button(page, "from")).to_have_text(re.compile(r"last call .*, not answered$"))
    expect(button(page, "said").locator(".spoken")).to_have_count(0)


@pytest.mark.browser
def test_what_went_wrong_in_the_last_call_stays_too(server, hook, look):
    hook.say("/start", "<Dial>+81</Dial>")
    script(server, {"answer": []})
    ended(server, dial(server, hook))
    page = look(server)
    expect(button(page, "problem")).to_contain_text("12200: Dial is a verb of Twilio's")
    expect(card(page).locator(".result")).to_have_class(re.compile(r"\bbad\b"))


def test_the_last_words_outlive_a_restart(start_sandbox, tmp_path):
    with start_sandbox(tmp_path) as server, hooking() as hook:
        hook.say("/start", "<Say>one</Say>", gather("two"))
        hook.say("/keys", "<Say>three</Say>")
        script(server, {"answer": ["1"]})
        ended(server, dial(server, hook))
        dial(server, hook, to=REN)
        ringing(server, REN)
        before = last(server)
    with start_sandbox(tmp_path) as server:
        after, cut = last(server), last(server, REN)
        assert (after["said"], after["pressed"]) == (["one", "two", "three"], ["1"])
        assert abs(after.pop("at") - before.pop("at")) < 60
        assert after == before
        assert (cut["status"], cut["problem"]) == ("failed", "the sandbox was stopped")
