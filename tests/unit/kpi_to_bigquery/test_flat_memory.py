"""A large file goes from S3 to BigQuery in little memory, in a process of its own."""

import os
import re
import subprocess
import sys
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from stack import ROOT

MIB = 1 << 20
SIZE = 500 * MIB
MOST = 128 * MIB  # that the function may have of memory
CODE = """
import datetime, functools, resource, time
from kpi_to_bigquery import bigquery, s3_to_bigquery, source

place = source.Place("bucket", "kpi/sales/dt=2026-11-22/sales.csv", "sales", datetime.date.today())
bq = bigquery.BigQuery("p", "d", "l", token=lambda: "t", deadline=time.monotonic() + 300)
version = source.head(place)
bq.load("j", {}, bigquery.File(version.size, functools.partial(source.read, place, version)))
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024)
"""


class Both(BaseHTTPRequestHandler):
    """S3 and BigQuery, which give and take bytes without keeping any."""

    protocol_version = "HTTP/1.1"
    taken = 0

    def do_HEAD(self):
        self._answer(200, size=SIZE)

    def do_GET(self):
        first, last = map(int, re.findall(r"\d+", self.headers["Range"]))
        self._answer(206, size=last - first + 1)
        self.wfile.write(b"x" * (last - first + 1))

    def do_POST(self):
        self._take()
        self._answer(200, Location=f"http://127.0.0.1:{self.server.server_port}/session")

    def do_PUT(self):
        Both.taken += self._take()
        done = Both.taken == SIZE
        self._answer(200 if done else 308, Range=f"bytes=0-{Both.taken - 1}")

    def _take(self):
        left = size = int(self.headers["Content-Length"])
        while left:
            left -= len(self.rfile.read(min(left, MIB)))
        return size

    def _answer(self, status, size=0, **headers):
        self.send_response(status)
        for name, value in {"ETag": '"e"', "Content-Length": size, **headers}.items():
            self.send_header(name, str(value))
        self.end_headers()

    def log_message(self, *_):
        pass


@contextmanager
def playing():
    with ThreadingHTTPServer(("127.0.0.1", 0), Both) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


def test_a_large_file_takes_little_memory():
    with playing() as url:
        environ = {
            **os.environ,
            "PYTHONPATH": str(ROOT / "functions"),
            "AWS_ENDPOINT_URL_S3": url,
            "BIGQUERY_API_BASE": url,
        }
        # A process is told the memory of the one that it came from, too: here that is the shell.
        command = ["sh", "-c", '"$0" -c "$1"; exit $?', sys.executable, CODE]
        ran = subprocess.run(command, env=environ, capture_output=True, text=True, check=True)
    assert Both.taken == SIZE
    assert int(ran.stdout) < MOST
