"""Put together what each function's zip holds: build/<function>/, the same bytes anywhere.

What cannot be imported as on Lambda is not built.
`python scripts/build.py [FUNCTION …]` builds those functions, or all.
"""

import fcntl
import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from command import CommandError, run

ROOT = Path(__file__).resolve().parent.parent
FUNCTIONS = ROOT / "functions"
# 2020-01-01T00:00:00Z: a zip holds times, and an unchanged function must stay the same bytes.
MTIME = 1_577_836_800
# Python with boto3, and nothing of ours: as on Lambda.
BARE_PYTHON = ROOT / ".local/ministack/bin/python"
LEFT_OUT = shutil.ignore_patterns("__pycache__", "*.pyc", "events", "schema", "requirements.*")


def functions() -> list[str]:
    """Return the names of all functions: each has a lambroll/<name>.jsonnet."""
    return sorted(path.stem for path in (ROOT / "lambroll").glob("*.jsonnet"))


def chosen(names: str) -> list[str]:
    """Return the functions that a person named (with blanks between), or all.

    CommandError says which there are.
    """
    known = functions()
    for name in names.split():
        if name not in known:
            raise CommandError(f"no function {name!r}: there are {', '.join(known)}")
    return names.split() or known


def handler(function: str) -> str:
    """Return a function's Handler: `folder.module.entry`."""
    text = (ROOT / f"lambroll/{function}.jsonnet").read_text(encoding="utf-8")
    said = re.search(r"Handler:\s*'([a-z0-9_.]+)'", text)
    return said[1] if said else f"{function}.handler.handler"


def capability(function: str) -> str:
    """Return the folder in functions/ that a function lives in."""
    return handler(function).split(".")[0]


def build(function: str) -> Path:
    """Build one function and return its folder; CommandError where Lambda could not import it."""
    folder = ROOT / "build" / function
    folder.parent.mkdir(exist_ok=True)
    new = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{function}."))
    try:
        package = capability(function)
        shutil.copytree(vendored(FUNCTIONS / package / "requirements.txt"), new, dirs_exist_ok=True)
        for source in ("common", package):
            shutil.copytree(FUNCTIONS / source, new / source, ignore=LEFT_OUT)
        if not (new / "pymysql").is_dir():  # it reads no database
            shutil.rmtree(new / "common/rds_roots")
        _pin(new)
        content = _digest(new)
        _check_import(function, new, content)
        with (folder.parent / ".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            # What is the same stays where it is: another deploy may be reading it.
            if _digest(folder) != content:
                shutil.rmtree(folder, ignore_errors=True)
                new.rename(folder)
    finally:
        shutil.rmtree(new, ignore_errors=True)
    return folder


def vendored(requirements: Path) -> Path:
    """Return a folder with the locked libraries, pure Python only, installing them once."""
    text = requirements.read_bytes()
    folder = ROOT / ".local/vendored" / hashlib.sha256(text).hexdigest()[:16]
    if folder.is_dir():
        return folder
    folder.parent.mkdir(parents=True, exist_ok=True)
    new = Path(tempfile.mkdtemp(dir=folder.parent, prefix=".new."))
    try:
        subprocess.run(
            [
                *(sys.executable, "-m", "pip", "install", "--quiet", "--no-compile", "--no-deps"),
                *("--require-hashes", "--requirement", requirements, "--target", new),
                # Wheels for any machine: what is built here runs on arm64 as well.
                *("--only-binary=:all:", "--platform=any", "--implementation=py", "--abi=none"),
                "--disable-pip-version-check",
            ],
            check=True,
            env=os.environ | {"PIP_CACHE_DIR": str(ROOT / ".local/cache/pip")},
        )
        shutil.rmtree(new / "bin", ignore_errors=True)
        for pattern in ("*/tests", "**/__pycache__"):
            for path in new.glob(pattern):
                shutil.rmtree(path)
        # What pip notes of this installation, beside the licences.
        for name in ("RECORD", "INSTALLER", "REQUESTED", "direct_url.json"):
            for path in new.glob(f"*.dist-info/{name}"):
                path.unlink()
        try:
            new.rename(folder)
        except OSError:
            # Functions of one capability are built side by side: another one was quicker.
            if not folder.is_dir():
                raise
    except subprocess.CalledProcessError:
        raise CommandError(f"the libraries of {requirements} could not be installed") from None
    finally:
        shutil.rmtree(new, ignore_errors=True)
    return folder


def _check_import(function: str, folder: Path, content: str) -> None:
    """Import a function as Lambda would, once for each content (its `_digest`).

    What has passed is noted beside the Python that imported it, and goes when that is replaced.
    """
    script = Path(__file__).with_name("import_check.py")
    key = "\0".join((content, handler(function), script.read_text(encoding="utf-8")))
    passed = BARE_PYTHON.parent.parent / "imported" / hashlib.sha256(key.encode()).hexdigest()
    if passed.exists():
        return
    done = subprocess.run(
        [BARE_PYTHON, "-I", "-B", script, folder, handler(function)],
        env={},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise CommandError(f"{function} cannot be imported: {done.stderr.strip()}")
    passed.parent.mkdir(exist_ok=True)
    passed.touch()


def _digest(folder: Path) -> str:
    """Return the SHA-256 of names, modes, times and bytes in a folder."""
    total = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        known, data = path.stat(), path.read_bytes() if path.is_file() else b""
        name = path.relative_to(folder)
        total.update(f"{name}\0{known.st_mode}\0{known.st_mtime}\0{len(data)}\0".encode() + data)
    return total.hexdigest()


def _pin(folder: Path) -> None:
    for path in (folder, *folder.rglob("*")):
        path.chmod(0o755 if path.is_dir() else 0o644)
        os.utime(path, (MTIME, MTIME))


def main(*names: str) -> None:
    """Build, and say where each function is."""
    for name in chosen(" ".join(names)):
        print(f"built {build(name).relative_to(ROOT)}")


if __name__ == "__main__":
    run(main)
