"""Sizes of what is uploaded, as lambroll makes it, and of what is unpacked from it."""

import subprocess
import zipfile
from pathlib import Path

import build
from stack import Stack


def archive(function: str) -> Path:
    """Make the zip of a built function."""
    config = build.ROOT / "any.json"
    config.write_text('{"FunctionName": "any"}')
    path = build.ROOT / f"{function}.zip"
    subprocess.run(
        [
            *(".local/bin/lambroll", "archive", "--log-level=warn", f"--function={config}"),
            *(f"--src=build/{function}", f"--dest={path}"),
        ],
        cwd=build.ROOT,
        check=True,
    )
    return path


def run(_: Stack) -> list[tuple[str, str]]:
    rows = []
    for function in build.functions():
        path = archive(function)
        with zipfile.ZipFile(path) as opened:
            sizes = [info.file_size for info in opened.infolist()]
        figure = f"{path.stat().st_size / 1e3:,.0f} kB"
        print(f"{function:24} {figure:>8}, unpacked {sum(sizes) / 1e3:,.0f} kB, {len(sizes)} files")
        rows.append((f"Zip of `{function}` (unpacked)", f"{figure} ({sum(sizes) / 1e3:,.0f} kB)"))
    return rows
