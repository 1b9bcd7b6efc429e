"""Requests, seconds and memory of each handler for 1 to 5,000 metrics, or 1 to 20 graphs.

The built folders run in ministack's interpreter, a new process for each count; SSM, CloudWatch,
Mackerel and Slack are a server that only counts and answers at once, the database is the stack's
MariaDB.
"""

import json
import subprocess
from typing import Any

import build
import database
import lifecycle
from bench import imports, outside
from bench.outside import Outside
from stack import Stack

METRICS = (1, 500, 501, 5000)
GRAPHS = (1, 5, 20)
MOST_ROWS = 1000
PROBE = """
import json, pathlib, re, resource, sys, time
from types import SimpleNamespace
folder, name = sys.argv[1:]
sys.path.insert(0, folder)
module = __import__(f"{name}.handler", fromlist=["handler"])
event = json.load(sys.stdin)
context = SimpleNamespace(get_remaining_time_in_millis=lambda: 60_000)
began = time.perf_counter()
answer = module.handler(event, context)
taken = time.perf_counter() - began
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
if sys.platform == "linux":
    # There that number begins with the peak of the process that started this one.
    status = pathlib.Path("/proc/self/status").read_text()
    peak = int(re.search(r"VmHWM:\\s*(\\d+) kB", status)[1]) * 1024
print(json.dumps({"seconds": taken, "bytes": peak, "answer": answer}))
"""


def probe(function: str, event: dict[str, Any], server: Outside) -> dict[str, Any]:
    """Run a handler once in a new process; returns its seconds, peak bytes and answer."""
    variables = {
        "AWS_ENDPOINT_URL": server.url,
        "MACKEREL_APIBASE": server.url,
        "SLACK_API_BASE": f"{server.url}/api/",
        "PARAMETER_PATH": "/bench/myApp",
    }
    folder = build.ROOT / "build" / function
    done = subprocess.run(
        [imports.PYTHON, "-I", "-B", "-c", PROBE, folder, build.capability(function)],
        env=imports.ENVIRONMENT | variables,
        input=json.dumps(event),
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"{function}: {done.stderr[-2000:]}")
    return dict(json.loads(done.stdout))


def metrics(count: int) -> dict[str, Any]:
    """Return the event of cloudwatch_to_mackerel: windows of 30 minutes, a point each 5."""
    declared = [
        {
            "name": f"bench.metric_{number}",
            "namespace": "Bench",
            "metric": f"METRIC_{number}",
            "dimensions": {"Bench": "BENCH"},
            "stat": "Sum",
        }
        for number in range(count)
    ]
    return {"mackerel_service": "ore-no-service", "window": 1800, "metrics": declared}


def query(count: int) -> dict[str, Any]:
    """Leave db_to_cloudwatch one SQL file that gives so many metrics, and return its event."""
    folder = build.ROOT / "build/db_to_cloudwatch/db_to_cloudwatch/queries"
    for path in folder.glob("*.sql"):
        path.unlink()
    rows = min(count, MOST_ROWS)
    columns = ", ".join(f"id * {n + 1} AS METRIC_{n}" for n in range(count // rows))
    text = f'/*\nnamespace = "Bench"\n*/\nSELECT CONCAT("row-", id) AS ITEM, {columns} FROM'
    numbers = f"WITH RECURSIVE n AS (SELECT 1 id UNION ALL SELECT id + 1 FROM n WHERE id < {rows})"
    (folder / "bench.sql").write_text(f"{text} ({numbers} SELECT id FROM n) AS numbers\n")
    return {"queries": ["bench"]}


def graphs(count: int) -> dict[str, Any]:
    """Return the event of cloudwatch_to_slack: graphs of one metric each over a day."""
    one = {"title": "graph", "metrics": [{"namespace": "Bench", "metric": "METRIC"}]}
    return {"channel": "C0123456789", "graphs": [one] * count}


# Function: what is counted, how many of them, the event, the calls that matter.
CASES = {
    "cloudwatch_to_mackerel": ("metric", METRICS, metrics, ("GetMetricData", "Mackerel")),
    "cloudwatch_to_slack": (
        "graph",
        GRAPHS,
        graphs,
        ("GetMetricData", "GetMetricWidgetImage", "Slack"),
    ),
    "db_to_cloudwatch": ("metric", METRICS, query, ("PutMetricData",)),
}


def parameters(stack: Stack) -> dict[str, str]:
    return {
        "MACKEREL_API_KEY": "any",
        "SLACK_BOT_TOKEN": "any",
        "DATABASE_HOST": "127.0.0.1",
        "DATABASE_PORT": str(stack.database_port),
        "DATABASE_NAME": "service",
        "DATABASE_USER": database.READER,
        "DATABASE_PASSWORD": stack.secrets().database_password,
        "DATABASE_CA": stack.database_ca.read_text(encoding="ascii"),
    }


def run(stack: Stack) -> list[tuple[str, str]]:
    lifecycle.start(stack, lambda _: None)
    print("first run of a new process, imports not counted; the outside answers at once")
    rows = []
    for function, (unit, counts, event_of, counted) in CASES.items():
        for count in counts:
            event = event_of(count)
            with outside.serving(parameters(stack)) as server:
                found = probe(function, event, server)
            if found["answer"]["posted" if unit == "graph" else "metrics"] != count:
                raise RuntimeError(f"{function}: {count} {unit}s, but {found['answer']}")
            asked = ", ".join(f"{server.calls[name]} {name}" for name in counted)
            points = f", {server.points:,} points" if server.points else ""
            mega = found["bytes"] / 1e6
            units = unit + "s"[: count - 1]
            print(
                f"{function:24} {count:5,} {units}: {asked}, {server.calls['GetParameter']} "
                f"GetParameter{points}   {found['seconds']:.2f} s   peak {mega:.0f} MB"
            )
            what = f"`{function}`, {count:,} {units}"
            rows.append((what, f"{asked}, {found['seconds']:.1f} s"))
        rows.append((f"{what}: peak memory", f"{mega:.0f} MB"))
    build.build("db_to_cloudwatch")  # with its own queries again
    return rows
