"""A webhook server of the tests' own, and calls that lead to it."""

import contextlib
import threading
from collections import defaultdict
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs

import requests
from twilio.http.http_client import TwilioHttpClient
from twilio.request_validator import RequestValidator
from twilio.rest import Client

from tests.sandbox.conftest import ACCOUNT, AOI, AUTH_TOKEN, CALLER
from tests.support import until

ALL = ["initiated", "ringing", "answered", "completed"]
XML = "application/xml"


def xml(*verbs):
    return f'<?xml version="1.0" encoding="UTF-8"?><Response>{"".join(verbs)}</Response>'


def gather(text="1?", action="/keys?token=a.0", **attributes):
    more = "".join(f' {name}="{value}"' for name, value in attributes.items())
    return (
        f'<Gather numDigits="1" timeout="5" finishOnKey="" action="{action}"{more}>'
        f'<Say language="ja-JP">{text}</Say></Gather>'
    )


@dataclass(frozen=True)
class Asked:
    """A request that came in: its path with the query, its form, and its signature."""

    path: str
    form: dict
    headers: dict

    def __getattr__(self, name):
        return self.form[name]


@dataclass
class Hook:
    """`answers`: by path without the query, (status, type, body) one after another, then 200."""

    url: str
    answers: dict = field(default_factory=lambda: defaultdict(list))
    asked: list = field(default_factory=list)
    free: threading.Event = field(default_factory=threading.Event)

    def say(self, path, *verbs):
        self.answers[path].append((200, XML, xml(*verbs)))

    def at(self, path):
        return [one for one in self.asked if one.path.partition("?")[0] == path]

    def statuses(self):
        return [one.CallStatus for one in self.at("/status")]

    def signed(self, one, token=AUTH_TOKEN, url=None):
        given = one.headers["X-Twilio-Signature"]
        return RequestValidator(token).validate(url or self.url + one.path, one.form, given)


@contextlib.contextmanager
def hooking():
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"])).decode()
            fields = parse_qs(body, keep_blank_values=True, strict_parsing=True)
            assert all(len(values) == 1 for values in fields.values())
            form = {name: values[0] for name, values in fields.items()}
            self.answer(form)

        def do_GET(self):
            self.answer({})

        def answer(self, form):
            hook.asked.append(Asked(self.path, form, dict(self.headers)))
            left = hook.answers[self.path.partition("?")[0]]
            status, kind, answer = left.pop(0) if left else (200, XML, xml())
            if answer is None:  # it hangs until the test is over
                hook.free.wait()
                self.close_connection = True
                return
            content = answer.encode()
            self.send_response(status)
            if kind:
                self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    hook = Hook(f"http://127.0.0.1:{server.server_port}")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield hook
    finally:
        hook.free.set()
        server.shutdown()
        thread.join()
        server.server_close()


def client(server, account=ACCOUNT, token=AUTH_TOKEN):
    made = Client(account, token, http_client=TwilioHttpClient(timeout=10))
    made.api.base_url = server.url
    return made


def dial(server, hook, to=AOI, **more):
    order = {
        "url": f"{hook.url}/start?token=a.0",
        "status_callback": f"{hook.url}/status?token=a.status",
        "status_callback_event": ALL,
        "timeout": 20,
    }
    return client(server).calls.create(to=to, from_=CALLER, **{**order, **more})


def post(server, path, **fields):
    return requests.post(f"{server.url}/twilio/{path}", json=fields, timeout=30)


def script(server, *steps, number=AOI):
    response = post(server, "script", number=number, do=list(steps))
    assert response.status_code == 201, response.text


def act(server, what, number=AOI, status=204, **fields):
    response = post(server, f"phones/{number}/{what}", **fields)
    assert response.status_code == status, response.text


def advance(server, seconds, **more):
    response = post(server, "clock", advance=seconds, **more)
    assert response.status_code == 200, response.text


def heard(server, number=AOI):
    """Return the call that a phone is in; None where it is silent."""
    phones = requests.get(f"{server.url}/twilio/phones", timeout=10).json()
    return next((phone["call"] for phone in phones if phone["number"] == number), None)


def ringing(server, number=AOI):
    return until(lambda: (call := heard(server, number)) and call["status"] == "ringing" and call)


def ended(server, call):
    """Wait until a call is over, and return it."""
    over = ("completed", "busy", "failed", "no-answer", "canceled")
    return until(lambda: (now := call.fetch()).status in over and now)


def quiet(server):
    """Leave no script and no call behind."""
    requests.delete(f"{server.url}/twilio/script", timeout=10)
    twilio = client(server)
    for status in ("queued", "ringing", "in-progress"):
        for call in twilio.calls.list(status=status):
            call.update(status="completed")
