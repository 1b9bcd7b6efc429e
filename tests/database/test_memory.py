"""An export's memory does not grow with its rows."""

import dataclasses
import json
import os
import subprocess
import sys

import pytest

from stack import ROOT

# The peak is read from /proc: in ru_maxrss is that of the process that started this one, too.
PROBE = """
import json, pathlib, re, resource, sys
import boto3
from common import csv_blocks, mysql
from common.csv_form import Form
given = json.load(sys.stdin)
source = csv_blocks.Source(given["sql"], given["key"])
settings = mysql.Settings(**given["settings"])
with csv_blocks.snapshot(settings, seconds=300, time_zone="+09:00") as connection:
    reading = csv_blocks.read(connection, source, Form())
    rows = sum(block.rows for block in reading.blocks)
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
if sys.platform == "linux":
    status = pathlib.Path("/proc/self/status").read_text()
    peak = int(re.search(r"VmHWM:\\s*(\\d+) kB", status)[1])
print(json.dumps({"way": reading.way, "rows": rows, "peak": peak}))
"""
SIZES = (200_000, 1_000_000)


def peak(settings, way, rows, value="'text'", more=""):
    """Read so many rows in a new process; return the most that it had in memory, in MB."""
    given = {
        "sql": f"SELECT seq AS id, {value} AS name FROM numbers, digits"
        f" WHERE seq < {rows // 10} {more}",
        "key": "id" if way == "keys" else None,
        "settings": dataclasses.asdict(settings),
    }
    done = subprocess.run(
        [sys.executable, "-c", PROBE],
        input=json.dumps(given),
        env=os.environ | {"PYTHONPATH": str(ROOT / "functions")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert not done.returncode, done.stderr
    found = json.loads(done.stdout)
    assert (found["way"], found["rows"]) == (way, rows)
    return found["peak"] / (1e6 if sys.platform == "darwin" else 1e3)


@pytest.mark.parametrize("way", ["keys", "lines"])
def test_memory_is_the_same_for_any_number_of_rows(settings, way):
    peaks = [peak(settings, way, rows) for rows in SIZES]
    assert max(peaks) - min(peaks) < 3
    assert max(peaks) < 100


@pytest.mark.parametrize(
    ("way", "more", "most"),
    [("keys", "", 200), ("lines", "", 100), ("plain", "ORDER BY seq", 100)],
    ids=["keys", "lines", "plain"],
)
def test_wide_rows_are_few_at_a_time(settings, way, more, most):
    """200 MB of them, and a client that has no more than some."""
    value = "CAST(REPEAT('x', 200000) AS BINARY)"
    assert peak(settings, way, 500, value, more) < most
