"""Run the benchmarks in a copy of the tree, with a stack of its own, and clear both away."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TREE = ROOT / ".local/bench"
SOURCES = ("bench", "functions", "lambroll", "local", "requirements", "scripts", "terraform")
LENT = ("bin", "cache", "ministack", "rivals", "vendored")
PICTURE = "docs/exports.svg"


def main(names: list[str]) -> int:
    if TREE.exists():
        print(f"{TREE} is there: another run is at work, or was killed (then remove it)")
        return 1
    try:
        for name in SOURCES:
            ignore = shutil.ignore_patterns("__pycache__", ".terraform", "*.tfstate*")
            shutil.copytree(ROOT / name, TREE / name, ignore=ignore)
        (TREE / ".local").mkdir()
        for name in LENT:
            (ROOT / ".local" / name).mkdir(exist_ok=True)
            (TREE / ".local" / name).symlink_to(ROOT / ".local" / name)
        variables = {
            "PYTHONPATH": os.pathsep.join((str(TREE / "local"), str(TREE / "scripts"))),
            "MIMAMORI_PORT": os.environ.get("MIMAMORI_BENCH_PORT", "5200"),
        }
        child = subprocess.Popen(
            [sys.executable, "-m", "bench.run", *names], cwd=TREE, env=os.environ | variables
        )
        # Ctrl-C reaches the child as well, which stops its stack before it ends.
        while True:
            try:
                return child.wait()
            except KeyboardInterrupt:
                continue
    finally:
        if (TREE / PICTURE).exists():
            shutil.copy(TREE / PICTURE, ROOT / PICTURE)
        shutil.rmtree(TREE, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
