"""What the laptop's AWS says, for pages that cannot wait for it."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, Generic, TypeVar

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

_PATIENCE = 0.5  # seconds that a page waits for a new answer


@dataclass(frozen=True)
class Answer:
    """What is known; `trouble` says why it is not more, or may be old."""

    trouble: str | None = field(default=None, kw_only=True)


AnswerT = TypeVar("AnswerT", bound=Answer)


@dataclass
class Watch(Generic[AnswerT]):
    """An answer of AWS, asked for anew, by whoever wants it, when it is some seconds old.

    `read` asks, in a thread, and may raise botocore's errors: what was known stays then.
    """

    read: Callable[[], AnswerT]
    known: AnswerT
    fresh: float  # seconds for which an answer is good enough
    until: float = 0.0  # by the monotonic clock
    reading: asyncio.Task[None] | None = None

    async def latest(self) -> AnswerT:
        """Return what is known now; a slow AWS costs the caller half a second at most."""
        if self.reading is None and time.monotonic() >= self.until:
            self.reading = asyncio.create_task(self._refresh())
        if self.reading:
            await asyncio.wait({self.reading}, timeout=_PATIENCE)
        return self.known

    async def _refresh(self) -> None:
        try:
            self.known = await asyncio.to_thread(self.read)
        except (BotoCoreError, ClientError) as error:
            words = f"the laptop's AWS does not answer: {error}"
            self.known = replace(self.known, trouble=words)
        finally:
            self.until = time.monotonic() + self.fresh
            self.reading = None


def client(service: str, endpoint: str, seconds: float = 3) -> Any:
    """Make a boto3 client of the AWS at `endpoint`, with the laptop's root key.

    It tries once, and waits for an answer as long as that.
    """
    return boto3.client(
        service,
        endpoint_url=endpoint,
        region_name="ap-northeast-1",
        aws_access_key_id="test",
        aws_secret_access_key="test",  # noqa: S106 (the laptop's)
        config=Config(connect_timeout=1, read_timeout=seconds, retries={"total_max_attempts": 1}),
    )
