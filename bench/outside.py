"""A loopback server that plays SSM, CloudWatch, Mackerel and Slack at once, and only counts."""

import base64
import json
import threading
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

MOST_QUERIES, MOST_POINTS = 500, 1000


@dataclass
class Outside:
    """The server's address, the SSM parameters it has by last name, and what it was asked."""

    url: str
    parameters: Mapping[str, str]
    calls: Counter[str] = field(default_factory=Counter)
    points: int = 0

    def answer(self, path: str, operation: str, body: bytes) -> dict[str, Any]:
        if path.endswith("/tsdb"):
            self.calls["Mackerel"] += 1
            points = json.loads(body)
            self.points += len(points)
            assert len(points) <= MOST_POINTS
            return {"success": True}
        if path.startswith("/api/") or path == "/upload":
            self.calls["Slack"] += 1
            return {"ok": True, "upload_url": f"{self.url}/upload", "file_id": "F0123456789"}
        self.calls[operation] += 1
        match operation:
            case "GetParameter":
                name = json.loads(body)["Name"]
                value = self.parameters[name.rpartition("/")[2]]
                return {"Parameter": {"Name": name, "Type": "SecureString", "Value": value}}
            case "GetMetricData":
                return {"MetricDataResults": _series(json.loads(body))}
            case "GetMetricWidgetImage":
                return {"MetricWidgetImage": base64.b64encode(bytes(20_000)).decode()}
            case "PutMetricData":
                return {}
        raise ValueError(f"{path} {operation}")


def _series(request: dict[str, Any]) -> list[dict[str, Any]]:
    queries = request["MetricDataQueries"]
    assert len(queries) <= MOST_QUERIES
    start, end = int(request["StartTime"]), int(request["EndTime"])
    return [
        {
            "Id": query["Id"],
            "Label": query["Id"],
            "StatusCode": "Complete",
            "Timestamps": (times := list(range(start, end, query["MetricStat"]["Period"]))),
            "Values": [1.5] * len(times),
        }
        for query in queries
    ]


@contextmanager
def serving(parameters: Mapping[str, str]) -> Iterator[Outside]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        wbufsize = -1
        disable_nagle_algorithm = True

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            operation = self.headers.get("X-Amz-Target", "").rpartition(".")[2]
            answer = json.dumps(outside.answer(self.path, operation, body)).encode()
            self.send_response(200)
            kind = self.headers.get("Content-Type", "application/json")
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_: object) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    outside = Outside(f"http://127.0.0.1:{server.server_port}", parameters)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield outside
    finally:
        server.shutdown()
        server.server_close()
