"""How a run of several items ends when some of them failed."""

import logging
from collections.abc import Mapping

from common.logs import encodable

log = logging.getLogger(__name__)


class RunFailed(Exception):
    """Some items of a run failed; the others were done. The message names each failed one."""


def raise_for(failures: Mapping[str, object], *, tried: int) -> None:
    """Log each failure (item's name → what went wrong) and raise RunFailed naming them all.

    Does nothing where there is none. Names are shortened to 200 characters: one may be a payload's.
    """
    for name, reason in failures.items():
        log.error("%.200s: %s", name, reason, extra={"item": name[:200]})
    if failures:
        listed = "; ".join(f"{name:.200}: {reason}" for name, reason in failures.items())
        raise RunFailed(encodable(f"{len(failures)} of {tried} failed: {listed}"))
