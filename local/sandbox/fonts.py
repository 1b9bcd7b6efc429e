"""The Japanese font that the sandbox brings, for machines that have none: IPAexGothic."""

import importlib.util
from pathlib import Path

JAPANESE = "IPAexGothic"  # the family's name
_PACKAGE = "matplotlib_fontja"


def japanese() -> Path:
    """Return the font's file (TrueType); raises RuntimeError where its package is not installed.

    The package is not imported: that would change the font of all that matplotlib draws.
    """
    spec = importlib.util.find_spec(_PACKAGE)
    if spec is None or spec.origin is None:
        raise RuntimeError(f"the Python package {_PACKAGE} is not installed: run scripts/install")
    return Path(spec.origin).parent / "fonts/ipaexg.ttf"
