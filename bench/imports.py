"""Cold import of each handler, against boto3 with one client: fresh processes, taking turns."""

import subprocess
import time
from statistics import median

import build
from stack import REGION, Stack

PYTHON = build.ROOT / ".local/ministack/bin/python"
ROUNDS = 9
GOAL = 1.2
# As on Lambda: credentials are in the environment, so that no client looks for them elsewhere.
ENVIRONMENT = {
    "AWS_REGION": REGION,
    "AWS_DEFAULT_REGION": REGION,
    "AWS_ACCESS_KEY_ID": "test",
    "AWS_SECRET_ACCESS_KEY": "test",
}
BOTO3 = "import boto3"
CLIENT = f"{BOTO3}; boto3.client('cloudwatch', region_name='{REGION}')"


def seconds(code: str) -> float:
    began = time.perf_counter()
    # -B: a zip on Lambda has no bytecode, so ours must not come by any here.
    subprocess.run([PYTHON, "-I", "-B", "-c", code], env=ENVIRONMENT, check=True)
    return time.perf_counter() - began


def handler(function: str) -> str:
    module = build.handler(function).rpartition(".")[0]
    return f"import sys; sys.path.insert(0, '{build.ROOT / 'build' / function}'); import {module}"


def run(_: Stack) -> list[tuple[str, str]]:
    # The bytecode of boto3 is there on Lambda; now it is here too.
    subprocess.run([PYTHON, "-I", "-c", CLIENT], env=ENVIRONMENT, check=True)
    clients = "from common import aws; aws.client('ssm'); aws.client('cloudwatch')"
    codes = {"bare interpreter": "", BOTO3: BOTO3, "boto3 + one client": CLIENT}
    for function in build.functions():
        codes[function] = handler(function)
        codes[f"{function} + its 2 clients"] = f"{handler(function)}; {clients}"
    taken: dict[str, list[float]] = {name: [] for name in codes}
    for _round in range(ROUNDS):
        for name, code in codes.items():
            taken[name].append(seconds(code))
    bare = median(taken["bare interpreter"])
    net = {name: median(all_of_it) - bare for name, all_of_it in taken.items()}
    basis = net["boto3 + one client"]
    print(f"median of {ROUNDS}, the bare interpreter's {bare * 1000:.0f} ms taken off")
    for name in list(codes)[1:]:
        spread = (max(taken[name]) - min(taken[name])) * 1000
        print(
            f"{name:40} {net[name] * 1000:5.0f} ms   {net[name] / basis:.2f} x boto3 + one client"
            f"   {net[name] / net[BOTO3]:.2f} x boto3   (spread {spread:.0f} ms)"
        )
    rows = []
    for function in build.functions():
        ratio = net[function] / basis
        print(f"{function}: goal of {GOAL} x {'met' if ratio <= GOAL else 'MISSED'}")
        rows.append(
            (f"Cold import of `{function}`, against boto3 with one client", f"{ratio:.2f} x")
        )
    return rows
