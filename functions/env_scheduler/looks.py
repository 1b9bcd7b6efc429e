"""When each kind was last looked at whole, by schedule: an item of a table (LOOKS_TABLE).

A tag has no date. What is seen for the first time was tagged since the last whole look, and that is
all that can be known.
"""

import os
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from common import aws, dynamodb
from env_scheduler.decisions import START, Kind


def read(schedule: str, tag: str) -> dict[Kind, datetime]:
    """Return the time of the last whole look of each kind; of a look at another tag, nothing.

    Raises ClientError.
    """
    found: dict[str, Any] = dynamodb.get(os.environ["LOOKS_TABLE"], {"schedule": schedule}) or {}
    if found.get("tag") != tag:
        return {}
    return {kind: datetime.fromisoformat(found[kind]) for kind in START if kind in found}


def write(schedule: str, tag: str, looked: Mapping[Kind, datetime]) -> None:
    """Write the time of each kind, down to the second. Raises ClientError."""
    times = {kind: at.isoformat(timespec="seconds") for kind, at in looked.items()}
    item = dynamodb.values({"schedule": schedule, "tag": tag} | times)
    aws.client("dynamodb").put_item(TableName=os.environ["LOOKS_TABLE"], Item=item)
