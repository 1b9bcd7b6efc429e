"""S3 and BigQuery on loopback, that give a large file and throw away what they are given."""

import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

MIB = 1 << 20
SIZE = 500 * MIB


class Both(BaseHTTPRequestHandler):
    """S3 that gives, and BigQuery that takes: an upload is done when it is as long as the file."""

    protocol_version = "HTTP/1.1"
    taken: int

    def do_HEAD(self) -> None:
        self._answer(200, size=SIZE)

    def do_GET(self) -> None:
        first, last = map(int, re.findall(r"\d+", self.headers["Range"]))
        self._answer(206, size=last - first + 1)
        self.wfile.write(b"x" * (last - first + 1))

    def do_POST(self) -> None:
        self._take()
        type(self).taken = 0
        self._answer(200, Location=f"http://{self.headers['Host']}/session")

    def do_PUT(self) -> None:
        type(self).taken += self._take()
        done = self.taken == SIZE
        self._answer(200 if done else 308, Range=f"bytes=0-{self.taken - 1}")

    def log_message(self, *_: object) -> None: ...

    def _take(self) -> int:
        left = size = int(self.headers["Content-Length"])
        while left:
            left -= len(self.rfile.read(min(left, MIB)))
        return size

    def _answer(self, status: int, size: int = 0, **headers: str) -> None:
        self.send_response(status)
        for name, value in {"ETag": '"e"', "Content-Length": str(size), **headers}.items():
            self.send_header(name, value)
        self.end_headers()


@contextmanager
def serving(port: int = 0) -> Iterator[str]:
    """Serve until the block ends; gives the address. Port 0 is any that is free."""
    handler = type("Sink", (Both,), {"taken": 0})
    with ThreadingHTTPServer(("127.0.0.1", port), handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()
