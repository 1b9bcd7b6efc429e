"""The estate's tab, before an AWS of which nothing is real but the form of its answers."""

import contextlib
import json
import threading
from datetime import datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import requests
from playwright.sync_api import expect

from sandbox.estate import in_words, reader
from tests.support import until

SCRIPT = "<script>document.title='bad'</script><img src=x onerror=alert(1)>"
ALIAS = "arn:aws:lambda:ap-northeast-1:000000000000:function:mimamori-local-env_scheduler:current"
SCHEDULE = {
    "name": "office-hours", "days": ["MON", "TUE"], "start": "08:00", "stop": "21:00",
    "timezone": "Asia/Tokyo", "holidays": True, "days_off": [], "tag": "office-hours",
    "grace_minutes": 0,
}  # fmt: skip
WOKEN = {"what": "woken", "at": "2026-11-24T21:20:09+09:00", "since": None}
ASLEEP = {
    "what": "suspended",
    "at": "2026-11-24T21:00:00+09:00",
    "since": "2026-11-24T21:00:12+09:00",
}
STOPPED = {**ASLEEP, "at": "2026-11-24T20:11:05+09:00", "since": "2026-11-24T20:11:05+09:00"}
KEPT = "2026-11-25T02:00+09:00"
MORNING = "2026-11-25T08:00+09:00"


def resource(name, state="off", deed="leave", kind="ec2_instances", **more):
    return {
        "kind": kind, "name": name, "state": state, "said": "stopped", "deed": deed,
        "reason": "is off already", "mark": None, "size": None, "keep_until": None,
        "changes": MORNING, **more,
    }  # fmt: skip


RESOURCES = [
    resource("aurora", mark=STOPPED, kind="rds_clusters"),
    resource("replica", "on", "skip", kind="rds_instances", reason="a read replica", changes=None),
    resource("group", kind="auto_scaling_groups", mark=ASLEEP, size="min=1 max=4 desired=2"),
    resource("i-3", "on", "suspend", reason="should be off since 2026-11-24 21:00 JST"),
    resource("i-1", "on", mark=WOKEN, reason="was started by hand", changes=None),
    resource("i-2", "on", keep_until=KEPT, reason=f"KeepUntil {KEPT}", changes=KEPT),
    resource("main/web", "between", "wait", kind="ecs_services", reason="is stopping"),
]


def status(*resources, **more):
    counts = {state: sum(one["state"] == state for one in resources) for state in ("on", "off")}
    about = {
        "schedule": "office-hours", "tag": "office-hours", "wanted": "off",
        "since": "2026-11-24T21:00+09:00", "next": {"action": "start", "at": MORNING},
        "held_back": None, "counts": counts, "resources": list(resources), **more,
    }  # fmt: skip
    return {"at": "2026-11-24T12:30:00+00:00", "schedules": [about]}


class Aws(ThreadingHTTPServer):
    """As much of AWS as the tab asks: rules, their targets, and the function's answer."""

    class Handler(BaseHTTPRequestHandler):
        def answer(self):
            said = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            aws, asked = self.server, self.headers.get("X-Amz-Target", "").rpartition(".")[2]
            code, headers = 200, {}
            if asked == "ListRules":
                assert json.loads(said)["NamePrefix"] == "mimamori-local-env_scheduler"
                body = {"Rules": aws.rules}
            elif asked == "ListTargetsByRule":
                body = {"Targets": aws.targets[json.loads(said)["Rule"]]}
            elif asked:
                body = {"logStreams": []}
            elif self.path.endswith("/invocations"):
                aws.asked.append(json.loads(said))
                aws.goes_on.wait()
                name = aws.asked[-1]["schedule"]["name"]
                code, headers, body = aws.answers.get(name) or aws.answers["office-hours"]
            else:
                body = {"Functions": []}
            text = json.dumps(body).encode()
            self.send_response(code)
            for name, value in {**headers, "Content-Length": str(len(text))}.items():
                self.send_header(name, value)
            self.end_headers()
            with contextlib.suppress(BrokenPipeError):
                self.wfile.write(text)

        do_GET = do_POST = answer  # noqa: N815

        def log_message(self, *_):
            pass

    def has(self, *rules, state="ENABLED"):
        """Set the rules: (name, payload)."""
        self.rules = [{"Name": name, "State": state} for name, _ in rules]
        self.targets = {
            name: [{"Id": "a", "Arn": ALIAS, "Input": payload}] for name, payload in rules
        }

    def says(self, body, code=200, schedule="office-hours", **headers):
        self.answers[schedule] = code, headers, body

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_port}"


RULE = ("mimamori-local-env_scheduler-office-hours", json.dumps({"schedule": SCHEDULE}))


@pytest.fixture
def aws():
    with Aws(("127.0.0.1", 0), Aws.Handler) as server:
        server.asked, server.answers, server.goes_on = [], {}, threading.Event()
        server.goes_on.set()
        server.has(RULE)
        server.says(status(*RESOURCES))
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        yield server
        server.goes_on.set()
        server.shutdown()
        thread.join()


@pytest.fixture
def served(start_sandbox, tmp_path, aws):
    with start_sandbox(tmp_path, aws=aws.url) as server:
        yield server


def get(server, path="/estate", **headers):
    return requests.get(server.url + path, headers=headers, timeout=10)


@pytest.mark.parametrize(
    ("schedule", "words"),
    [
        (SCHEDULE, "MON TUE · on from 08:00 to 21:00 · Asia/Tokyo · not on Japan's holidays"),
        (
            SCHEDULE | {"start": None, "holidays": False},
            "MON TUE · off at 21:00, started by people · Asia/Tokyo",
        ),
    ],
)
def test_a_schedule_in_words(schedule, words):
    assert in_words(schedule) == words


def test_what_the_function_tells_by_schedule_and_kind(aws):
    (schedule,) = reader(aws.url)().schedules
    assert aws.asked == [{"schedule": SCHEDULE, "action": "status"}]
    assert (schedule.name, schedule.enabled, schedule.error) == ("office-hours", True, None)
    assert (schedule.wanted, schedule.next_state) == ("off", "on")
    assert schedule.next_at == datetime.fromisoformat(MORNING).timestamp()
    assert [kind.id for kind in schedule.kinds] == [
        "rds_clusters",
        "rds_instances",
        "auto_scaling_groups",
        "ec2_instances",
        "ecs_services",
    ]
    rows = {one.name: one for kind in schedule.kinds for one in kind.resources}
    assert [*rows][3:6] == ["i-1", "i-2", "i-3"]
    coming = {name: (one.coming, one.changes) for name, one in rows.items()}
    morning, kept = schedule.next_at, schedule.next_at - 6 * 3600
    assert coming == {
        "aurora": ("on", morning),
        "replica": ("left alone", None),
        "group": ("on", morning),
        "i-1": ("stays on", None),
        "i-2": ("off", kept),
        "i-3": ("off with the next run", None),
        "main/web": ("on", morning),
    }
    marks = {name: one.mark.deed for name, one in rows.items() if one.mark}
    assert marks == {
        "aurora": "suspended by hand",
        "group": "suspended by schedule",
        "i-1": "woken by a person",
    }


def test_a_rule_for_each_schedule_and_others_left_aside(aws):
    aws.has(
        RULE,
        ("mimamori-local-env_scheduler-b", json.dumps({"schedule": SCHEDULE | {"name": "b"}})),
        ("mimamori-local-env_scheduler-c", json.dumps({"action": "status"})),
        ("mimamori-local-env_scheduler-d", "no JSON"),
        state="DISABLED",
    )
    seen = reader(aws.url)()
    assert [(one.name, one.enabled) for one in seen.schedules] == [
        ("office-hours", False),
        ("b", False),
    ]
    (machine,) = (one for one in seen.schedules[0].kinds[3].resources if one.name == "i-3")
    assert (machine.due, machine.coming) == (True, "due: off")


def test_a_schedule_that_only_stops(aws):
    tonight = {"action": "suspend", "at": "2026-11-25T21:00+09:00"}
    woken = resource("woken", "on", changes=tonight["at"])
    aws.says(status(resource("asleep", changes=None), woken, next=tonight))
    (schedule,) = reader(aws.url)().schedules
    coming = {one.name: one.coming for one in schedule.kinds[0].resources}
    assert coming == {"asleep": "stays off", "woken": "off"}


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (
            ({"errorType": "RunFailed", "errorMessage": "2 of 3 failed"}, 200, "Unhandled"),
            "RunFailed: 2 of 3 failed",
        ),
        (("what?", 200, "Unhandled"), "Error: what?"),
        (({"Type": "User", "Message": "no function"}, 404, None), "no function"),
        (({"schedules": []}, 200, None), "what it said is not a status"),
        ((None, 200, None), "what it said is not a status"),
        ((status(resource("a") | {"mark": 3}), 200, None), "what it said is not a status"),
        ((status({"state": "on"}), 200, None), "what it said is not a status"),
    ],
)
def test_a_function_that_fails_is_told_in_its_words(aws, answer, words):
    body, code, failed = answer
    aws.says(body, code, **({"X-Amz-Function-Error": failed} if failed else {}))
    (schedule,) = reader(aws.url)().schedules
    assert words in schedule.error
    assert (schedule.name, schedule.kinds) == ("office-hours", ())


def test_a_kind_that_cannot_be_listed_is_told_beside_the_others(served, aws):
    aws.says(status(*RESOURCES, errors={"ecs_services": SCRIPT}))
    until(lambda: "ECS services could not be listed:" in get(served).text)
    html = get(served).text
    assert "aurora" in html
    assert SCRIPT not in html


def test_five_thousand_are_a_hundred_rows_a_kind(aws):
    aws.says(status(*(resource(f"i-{n:04}") for n in range(5000))))
    (schedule,) = reader(aws.url)().schedules
    (kind,) = schedule.kinds
    assert (len(kind.resources), kind.more) == (100, 4900)


def test_without_a_rule_there_is_no_tab(served, aws):
    aws.has()
    until(lambda: "No schedules." in get(served).text)
    assert "/estate" not in get(served, "/").text
    assert "estate-tab" not in get(served).text
    assert aws.asked == []


def test_the_function_is_asked_only_for_those_who_look(served, aws):
    until(lambda: "estate-tab" in get(served, "/").text)
    assert "asking the function" in get(served, **{"X-Hidden": "1"}).text
    assert aws.asked == []
    until(lambda: "aurora" in get(served).text)
    for _ in range(2):
        assert "aurora" in get(served).text
    assert len(aws.asked) == 1
    tag = get(served).headers["ETag"]
    assert get(served, **{"If-None-Match": tag}).status_code == 304
    assert get(served, "/").headers["ETag"] != tag


def test_a_function_that_hangs_holds_up_no_page(served, aws):
    aws.goes_on.clear()
    assert "asking the function" in get(served).text  # and the function hangs still
    aws.goes_on.set()
    until(lambda: "aurora" in get(served).text)


def test_an_aws_that_is_away_is_told(start_sandbox, tmp_path):
    with start_sandbox(tmp_path) as server:
        # Its runs, its estate; until that is known the page says that they are asked for.
        until(lambda: get(server).text.count("AWS does not answer") == 2)
        html = get(server).text
    assert "No schedules." not in html


@pytest.mark.browser
def test_a_stop_is_seen_without_a_reload(served, aws, look):
    aws.says(status(*(one | {"state": "on"} for one in RESOURCES)))
    page = look(served, "/estate")
    page.evaluate("window.same = true")
    expect(page.locator("[aria-current]")).to_have_id("estate-tab")
    expect(page).to_have_title("estate · Mimamori inbox")
    expect(page.locator(".sleeper.on")).to_have_count(7)
    name = page.locator(".sleeper b", has_text="aurora").element_handle()
    row = page.locator(".sleeper", has=page.locator("b", has_text="replica")).element_handle()
    aws.says(status(*RESOURCES))
    expect(page.locator(".sleeper.off")).to_have_count(2)
    expect(page.locator(".sleeper.between .power")).to_have_text("changing")
    group = page.locator(".sleeper", has_text="group")
    expect(group).to_contain_text("stopped (kept: min=1 max=4 desired=2)")
    expect(group).to_contain_text("on Wed 11-25 08:00")
    expect(group).to_contain_text(
        "suspended by schedule, Tue 11-24 21:00; asleep since Tue 11-24 21:00"
    )
    assert page.evaluate("window.same")
    assert not name.evaluate("node => node.isConnected")  # what changed is new
    assert row.evaluate("node => node.isConnected")  # what did not stays
    hidden = "Object.defineProperty(document, 'hidden', { value: true }); look()"
    with page.expect_request(lambda request: "x-hidden" in request.headers):
        page.evaluate(hidden)


@pytest.mark.browser
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_markup_long_names_and_little_room(served, aws, look, scheme):
    long = "あ" * 200 + "x" * 200
    named = {"schedule": SCHEDULE | {"name": long}}
    aws.has(RULE, (f"{RULE[0]}-2", json.dumps(named)), state="DISABLED")
    failed = {"X-Amz-Function-Error": "Unhandled"}
    aws.says({"errorType": SCRIPT, "errorMessage": long}, schedule=long, **failed)
    odd = resource(SCRIPT, "odd", "skip", SCRIPT, said=SCRIPT, reason=f"KeepUntil: got {long}")
    aws.says(status(odd, resource(long, said=long, size=long), held_back=SCRIPT))
    page = look(served, "/estate", viewport={"width": 360, "height": 740}, color_scheme=scheme)
    expect(page.locator(".sleeper.odd b")).to_have_text(SCRIPT)
    expect(page.locator(".about").first).to_contain_text("its rule is switched off")
    expect(page.locator(".about").first).to_contain_text(SCRIPT)
    expect(page.locator(".schedule .failure")).to_contain_text(SCRIPT)
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    assert page.locator("script:not([src]), img[src=x]").count() == 0
