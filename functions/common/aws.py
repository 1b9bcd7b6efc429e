"""Clients of AWS's services, made once, with time limits."""

from functools import cache
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

_CONFIG = Config(
    connect_timeout=3,
    read_timeout=10,
    retries={"mode": "standard", "total_max_attempts": 4},
)


@cache
def client(service: str) -> Any:
    """Return the boto3 client of a service, e.g. `client("ssm")`.

    Connects within 3 s, reads within 10 s, tries four times (throttling, 5xx, network).
    """
    made = boto3.client(service, config=_CONFIG)
    # Else made at first use: by two threads at once twice, and neither knows the other's classes.
    _ = made.exceptions
    return made


def has_code(error: Exception, *codes: str) -> bool:
    """Tell whether an error is AWS's answer with one of these codes, e.g. `AccessDenied`."""
    return isinstance(error, ClientError) and error.response["Error"]["Code"] in codes
