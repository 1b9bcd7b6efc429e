"""Run the benchmarks that were named, or all, and sum them up for the README."""

import os
import signal
import sys
import time
from collections.abc import Sequence

import build
import lifecycle
from bench import calls, deploys, exports, imports, kpis, phones, scheduler, zips
from deploy import DeployError
from stack import Stack, StackError
from up import TerraformError

# Each is called with the stack, not started, and returns rows for the README: (what, figure).
BENCHMARKS = {
    "zips": zips.run,
    "imports": imports.run,
    "calls": calls.run,
    "deploys": deploys.run,
    "scheduler": scheduler.run,
    "phones": phones.run,
    "exports": exports.run,
    "kpis": kpis.run,
}


def main(names: Sequence[str]) -> int:
    for name in names:
        if name not in BENCHMARKS:
            print(f"no benchmark {name!r}: there are {', '.join(BENCHMARKS)}")
            return 1
    stack = Stack.current()
    began = time.monotonic()
    rows: list[tuple[str, str]] = []
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        for function in build.functions():
            build.build(function)
        for name in names or BENCHMARKS:
            print(f"\n== {name}", flush=True)
            rows += BENCHMARKS[name](stack)
    except KeyboardInterrupt:
        print("\nstopped")
        return 130
    except (StackError, TerraformError, DeployError) as error:
        print(error)
        return 1
    finally:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        lifecycle.stop(stack, lambda _: None)
    print(
        f"\n{os.cpu_count()} CPUs, load {os.getloadavg()[0]:.1f}, Python {sys.version.split()[0]},"
    )
    print(f"{time.monotonic() - began:.0f} s in all\n\n| What | Figure |\n| --- | --- |")
    for what, figure in rows:
        print(f"| {what} | {figure} |")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
