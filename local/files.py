"""Files that are either whole or not there, whenever the writer is killed."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def write(path: Path, text: str, mode: int = 0o600) -> bool:
    """Write `text` to `path` in one step; True if that changed anything.

    The new text is written beside the file and renamed over it, so a reader, and the next start
    after a kill -9, sees the old file or the new one.
    """
    if path.is_file() and path.read_text(encoding="utf-8") == text:
        return False
    with replacing(path) as new:
        new.write_text(text, encoding="utf-8")
        new.chmod(mode)
    return True


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Give a new, empty file beside `path` that takes its place if the body ends well."""
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    os.close(handle)
    new = Path(name)
    try:
        yield new
        new.replace(path)
    finally:
        new.unlink(missing_ok=True)
