"""Compile and import one function as Lambda would: `python -I -B import_check.py FOLDER HANDLER`.

FOLDER holds what the zip holds; beside it there may be only what Lambda's runtime brings, boto3
above all. Nothing may be called by an import. What is wrong is said on standard error, with exit
code 1. It runs in a process of its own, and so imports nothing of this project.
"""

import importlib
import sys
import traceback
from pathlib import Path
from typing import Any

# Lambda's own client of its runtime brings simplejson; requests takes it where it is there.
RUNTIME = {"boto3", "botocore", "s3transfer", "jmespath", "dateutil", "six", "simplejson"}


def check(folder: Path, handler: str) -> str | None:
    """Return what is wrong with a function, as `file:line: error`; None where all is well."""
    module, _, entry = handler.rpartition(".")
    try:
        # Not all is imported at once, and a file that cannot be compiled fails some day.
        for source in ("common", module.partition(".")[0]):
            for path in sorted((folder / source).rglob("*.py")):
                compile(path.read_bytes(), str(path), "exec", dont_inherit=True)
        sys.path.insert(0, str(folder))
        sys.addaudithook(_refuse_network)
        found = importlib.import_module(module)
    except SyntaxError as error:
        return (
            f"{_short(folder, error.filename)}:{error.lineno}: {type(error).__name__}: {error.msg}"
        )
    except BaseException as error:  # noqa: BLE001 (whatever a module does when it is imported)
        frames = [
            f for f in traceback.extract_tb(error.__traceback__) if _inside(folder, f.filename)
        ]
        place = f"{_short(folder, frames[-1].filename)}:{frames[-1].lineno}: " if frames else ""
        return f"{place}{type(error).__name__}: {error}"
    if not callable(getattr(found, entry, None)):
        return f"{module.replace('.', '/')}.py: there is no function {entry!r}, which Lambda calls"
    if foreign := sorted({name for name in map(_foreign, list(sys.modules.values())) if name}):
        return f"not in the zip: {', '.join(foreign)}: name it in requirements.in"
    return None


def _refuse_network(event: str, arguments: tuple[Any, ...]) -> None:
    if event in ("socket.connect", "socket.getaddrinfo", "socket.sendto"):
        raise RuntimeError(f"an import calls {event}{arguments[1:]}")


def _foreign(module: Any) -> str | None:
    """Return the library of a module that neither the zip nor Lambda brings."""
    name = str(getattr(module, "__name__", "")).partition(".")[0]
    if "site-packages" not in (getattr(module, "__file__", None) or "") or name in RUNTIME:
        return None
    # botocore's own urllib3 is taken only where the zip has none.
    if name == "urllib3" and not Path(sys.path[0], "urllib3").exists():
        return None
    return name


def _inside(folder: Path, filename: str) -> bool:
    return Path(filename).is_relative_to(folder)


def _short(folder: Path, filename: str | None) -> str:
    path = Path(filename or "?")
    return str(path.relative_to(folder)) if path.is_relative_to(folder) else str(path)


if __name__ == "__main__":
    sys.exit(check(Path(sys.argv[1]).resolve(), sys.argv[2]))
