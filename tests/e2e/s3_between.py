"""S3 and SES as the exports reach them: in between, a job's parts are refused, slow or held.

And SES refuses a job's mails in the words that a test gives.
"""

import http.client
import math
import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

_REFUSED = (
    "<?xml version='1.0' encoding='UTF-8'?>"
    "<Error><Code>{code}</Code><Message>a test said so</Message></Error>"
)
_CODES = {403: "AccessDenied", 500: "InternalError"}


@dataclass
class Held:
    """A part that is on its way: `arrived` is set when it is there, `go` lets it go on."""

    part: int
    arrived: threading.Event = field(default_factory=threading.Event)
    go: threading.Event = field(default_factory=threading.Event)
    lost: bool = False

    def lose(self):
        """Let it get nowhere."""
        self.lost = True
        self.go.set()


@dataclass
class Between:
    """What happens to the parts of jobs, and which arrived, both by the job's id."""

    refusals: dict[str, list[int]] = field(default_factory=dict)  # statuses still to come
    delays: dict[str, float] = field(default_factory=dict)  # seconds, of each part
    held: dict[str, Held] = field(default_factory=dict)
    parts: dict[str, list[int]] = field(default_factory=lambda: defaultdict(list))
    mails: dict[str, str] = field(default_factory=dict)  # SES's code for the mails of a job
    refused: dict[str, int] = field(default_factory=lambda: defaultdict(int))  # how many so far
    enough: dict[str, int] = field(default_factory=dict)  # after so many the next one goes on

    def hold(self, job, part):
        """Hold a job's next part of this number back."""
        self.held[job] = Held(part)
        return self.held[job]

    def verdict(self, job, part):
        """Return a part's status, when its time has come; None where it goes on to S3."""
        time.sleep(self.delays.get(job, 0))
        held = self.held.get(job)
        if held and held.part == part:
            del self.held[job]
            held.arrived.set()
            assert held.go.wait(60)
            if held.lost:
                return 500
        statuses = self.refusals.get(job)
        if statuses:
            return statuses.pop(0)
        self.parts[job].append(part)
        return None


@contextmanager
def listening(endpoint: str, port: int) -> Iterator[Between]:
    """Stand between a port and the S3 at `endpoint` until the block ends."""
    server = _Server(("127.0.0.1", port), _Handler)
    server.between, server.target = Between(), urlsplit(endpoint)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield server.between
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def __getattr__(self, name):
        if name.startswith("do_"):  # whatever the method
            return self.pass_on
        raise AttributeError(name)

    def handle(self):
        # Who asked may have been killed meanwhile.
        with suppress(OSError):
            super().handle()

    def pass_on(self):
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        url = urlsplit(self.path)
        part = parse_qs(url.query).get("partNumber")
        if self.command == "PUT" and part:
            _, _, job, *_ = url.path.strip("/").split("/")
            if status := self.server.between.verdict(job, int(part[0])):
                self.answer(status, [], _REFUSED.format(code=_CODES[status]).encode())
                return
        if url.path == "/v2/email/outbound-emails" and (code := self.refusal(body)):
            said = b'{"message": "a test said so"}'
            self.answer(400, [("x-amzn-ErrorType", code)], said)
            return
        target = self.server.target
        connection = http.client.HTTPConnection(target.hostname, target.port, timeout=60)
        # As it was signed, for this address.
        headers = {name: value for name, value in self.headers.items() if name != "Expect"}
        connection.request(self.command, self.path, body, headers)
        answer = connection.getresponse()
        self.answer(answer.status, answer.getheaders(), answer.read())
        connection.close()

    def refusal(self, body):
        """Return SES's code for a mail that it refuses, and count it; None for all others."""
        between = self.server.between
        for job, code in list(between.mails.items()):
            enough = between.refused[job] >= between.enough.get(job, math.inf)
            if f"/{job}/".encode() in body and not enough:
                between.refused[job] += 1
                return code
        return None

    def answer(self, status, headers, body):
        self.send_response_only(status)
        for name, value in headers:
            if name.lower() not in ("connection", "content-length", "transfer-encoding"):
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, *_):
        pass
