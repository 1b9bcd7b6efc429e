import asyncio
import threading
from dataclasses import dataclass

from botocore.exceptions import BotoCoreError

from sandbox.watch import Answer, Watch


@dataclass(frozen=True)
class Words(Answer):
    words: str = ""


def test_an_aws_that_hangs_costs_half_a_second_and_one_question():
    hung, asked, ended = threading.Event(), [], []

    def read():
        asked.append(1)
        hung.wait(60)
        ended.append(1)
        return Words("new")

    async def ask():
        watch = Watch(read, Words(trouble="asking"), 3600)
        assert (await watch.latest()).trouble == "asking"
        await watch.latest()
        assert (asked, ended) == ([1], [])  # what was asked for hangs still
        hung.set()
        await watch.reading
        assert await watch.latest() == Words("new")
        assert asked == [1]  # fresh still

    asyncio.run(ask())


def test_what_was_known_stays_while_aws_is_away():
    def read():
        raise BotoCoreError

    known = asyncio.run(Watch(read, Words("old"), 60).latest())
    assert known.words == "old"
    assert "does not answer" in known.trouble
