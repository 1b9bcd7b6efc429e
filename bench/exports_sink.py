"""An S3 on loopback that takes the parts of an upload and throws them away."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

XML = '<{0} xmlns="http://s3.amazonaws.com/doc/2006-03-01/">{1}</{0}>'
ETAG = '"0123456789abcdef0123456789abcdef"'
CHUNK = 1 << 16


class Handler(BaseHTTPRequestHandler):
    """Remembers of each upload how many parts it has."""

    protocol_version = "HTTP/1.1"
    wbufsize = -1
    disable_nagle_algorithm = True
    parts: dict[str, int]

    def do_POST(self) -> None:
        self._take()
        path = urlsplit(self.path).path
        if "uploads" in self._query():
            self.parts[path] = 0
            told = f"<Bucket>any</Bucket><Key>any</Key><UploadId>{path.strip('/')}</UploadId>"
            self._answer(XML.format("InitiateMultipartUploadResult", told))
        else:
            self._answer(XML.format("CompleteMultipartUploadResult", f"<ETag>{ETAG}</ETag>"))

    def do_PUT(self) -> None:
        self._take()
        self.parts[urlsplit(self.path).path] += 1
        self._answer("")

    def do_GET(self) -> None:
        numbers = range(1, self.parts[urlsplit(self.path).path] + 1)
        told = "".join(
            f"<Part><PartNumber>{number}</PartNumber><ETag>{ETAG}</ETag></Part>"
            for number in numbers
        )
        self._answer(XML.format("ListPartsResult", f"<IsTruncated>false</IsTruncated>{told}"))

    def handle_expect_100(self) -> bool:
        """Say at once that it will take a part, as S3 does: else each waits a second."""
        going_on = super().handle_expect_100()
        self.wfile.flush()
        return going_on

    def log_message(self, *_: object) -> None: ...

    def _query(self) -> dict[str, list[str]]:
        return parse_qs(urlsplit(self.path).query, keep_blank_values=True)

    def _take(self) -> None:
        left = int(self.headers.get("Content-Length") or 0)
        while left:
            left -= len(self.rfile.read(min(left, CHUNK)))

    def _answer(self, text: str) -> None:
        self.send_response(200)
        self.send_header("ETag", ETAG)
        self.send_header("Content-Type", "application/xml")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text.encode())


@contextmanager
def serving(port: int) -> Iterator[str]:
    """Serve until the block ends; gives the address."""
    handler = type("Sink", (Handler,), {"parts": {}})
    server = ThreadingHTTPServer(("127.0.0.1", port), handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        server.shutdown()
        server.server_close()
