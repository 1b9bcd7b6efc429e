"""The addresses that Twilio calls back, made and read in one place: they are what it signs."""

import os
from urllib.parse import quote, urlencode

# What a webhook's address says after the session's token: which telling it belongs to (see `step`),
# or this.
STATUS = "status"


def of(group_id: str, attempt: int, token: str, step: str) -> str:
    """Return the address of an attempt's webhook.

    One query parameter and no more: Twilio changes the order of several.
    """
    path = f"/phonecall/{quote(group_id, safe='')}/{attempt}"
    return f"{os.environ['PUBLIC_BASE_URL']}{path}?{urlencode({'token': f'{token}.{step}'})}"


def of_status(group_id: str, token: str) -> str:
    """Return the address that tells a caller where an escalation stands."""
    path = f"/phonecall/{quote(group_id, safe='')}"
    return f"{os.environ['PUBLIC_BASE_URL']}{path}?{urlencode({'token': token})}"


def step(batch: int, telling: int) -> str:
    """Return how an address says where in a call it belongs: to which telling of which batch."""
    return f"{batch}-{telling}" if batch else str(telling)


def place(step: str) -> tuple[int, int]:
    """Return the batch and the telling that a step says."""
    batch, _, telling = step.rpartition("-")
    return int(batch or 0), int(telling)


def split(token: str) -> tuple[str, str]:
    """Return the session's token and the step that an address carries."""
    session, _, step = token.partition(".")
    return session, step or "0"
