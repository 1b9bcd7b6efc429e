"""A large file goes from S3 to BigQuery in little memory, in a process of its own."""

import json
import os
import subprocess
import sys

from bench import kpis_sink
from stack import ROOT

MOST = 128 * kpis_sink.MIB  # that the function may have of memory


def test_a_large_file_takes_little_memory():
    with kpis_sink.serving() as url:
        environ = {
            **os.environ,
            "PYTHONPATH": str(ROOT / "functions"),
            "AWS_ENDPOINT_URL_S3": url,
            "BIGQUERY_API_BASE": url,
        }
        command = [sys.executable, "-m", "bench.kpis_programs", "load"]
        ran = subprocess.run(
            command, cwd=ROOT, env=environ, input="{}", capture_output=True, text=True, check=True
        )
    found = json.loads(ran.stdout)
    assert found["rows"] == kpis_sink.SIZE
    assert found["peak"] < MOST
