"""How a run of several items ends when some of them failed."""

import logging
from collections.abc import Mapping

from common.logs import encodable

log = logging.getLogger(__name__)


class RunFailed(Exception):
    """Some items of a run failed; the others were done. The message names each failed one."""


def raise_for(failures: Mapping[str, object], *, tried: int) -> None:
    """Log each failure (item's name → what went wrong) and raise RunFailed naming them all.

    Does nothing where there is none.
    """
    for name, reason in failures.items():
        log.error("%s: %s", name, reason, extra={"item": name})
    if failures:
        listed = "; ".join(f"{name}: {reason}" for name, reason in failures.items())
        raise RunFailed(encodable(f"{len(failures)} of {tried} failed: {listed}"))
