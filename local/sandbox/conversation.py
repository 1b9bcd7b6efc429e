"""What happens in a call that was answered: TwiML is asked for, and followed verb by verb.

A text takes 20 ms a character and at most 2 s, so that a person need not wait; it takes no time at
all where a script answered. A key interrupts what is said inside of a Gather.

What Twilio's documentation does not say, and is a guess here: keys pressed outside of a Gather are
lost; the key that finishes, alone, is as good as none; an empty 204 in place of TwiML hangs up; a
call follows at most 100 documents.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from urllib.parse import urljoin

from sandbox import twiml, webhook
from sandbox.calls import Call
from sandbox.clock import Clock

SORRY = "We're sorry, an application error has occurred. Goodbye."
_CHARACTER, _TEXT = 0.02, 2.0  # seconds
_DOCUMENTS = 100
_FOREVER = 7 * 24 * 60 * 60.0  # seconds; the call's time limit comes first


class HungUp(Exception):
    """The phone's owner has hung up."""


@dataclass(frozen=True)
class Document:
    """TwiML to ask for: where, and with what besides the usual fields."""

    url: str
    method: twiml.Method = "POST"
    more: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Conversation:
    """One call's.

    `ask` sends a webhook, None where it failed; `failed` is told which answer was no good, and why;
    `seen`, that there is something new to see.
    """

    call: Call
    clock: Clock
    ask: Callable[[Document], Awaitable[webhook.Answer | None]]
    failed: Callable[[str, str], None]
    seen: Callable[[], None]

    async def run(self) -> None:
        """Talk until one side hangs up; what went wrong is the call's `problem`."""
        try:
            await self._documents()
        except twiml.BadTwiml as error:
            self.call.problem = _shown(error)
            await self._say(twiml.Say(SORRY))
        except HungUp:
            pass

    async def _documents(self) -> None:
        order = self.call.order
        here = Document(order.url or "", order.method)
        verbs = await self._fetch(here) if order.url else twiml.read(order.twiml or "")
        for _ in range(_DOCUMENTS):
            going = await self._follow(verbs, here.url)
            if going is None:
                return
            here = going
            verbs = await self._fetch(here)
        self.call.problem = f"more than {_DOCUMENTS} documents in one call"

    async def _fetch(self, document: Document) -> tuple[twiml.Verb, ...]:
        """Return the verbs of a document; raises BadTwiml where there are none to have."""
        answer = await self.ask(document)
        if answer is None:
            raise twiml.BadTwiml(11200, f"HTTP retrieval failure of {document.url}")
        if answer.status == 204:
            return ()
        try:
            return twiml.read_answer(answer.content_type, answer.body)
        except twiml.BadTwiml as error:
            self.failed(document.url, _shown(error))
            raise

    async def _follow(self, verbs: tuple[twiml.Verb, ...], base: str) -> Document | None:
        """Do what a document says; the document to go on with, None: hang up."""
        for verb in verbs:
            match verb:
                case twiml.Say():
                    await self._say(verb)
                case twiml.Pause():
                    await self.clock.sleep(verb.length)
                case twiml.Gather():
                    if keys := await self._gather(verb):
                        return Document(urljoin(base, verb.action or ""), verb.method, keys)
                case twiml.Redirect():
                    return Document(urljoin(base, verb.url), verb.method)
                case twiml.Hangup():
                    return None
        return None

    async def _say(self, say: twiml.Say) -> None:
        await self.clock.sleep(self._begin(say))

    def _begin(self, say: twiml.Say) -> float:
        """Begin to say a text; how many seconds it takes. What is repeated is noted once."""
        self.call.said.append(say.text)
        self.seen()
        if self.call.step:
            return 0
        return say.loop * min(_TEXT, len(say.text) * _CHARACTER) if say.loop else _FOREVER

    async def _gather(self, gather: twiml.Gather) -> dict[str, str] | None:
        """Wait for keys; the fields that tell them, None: there were none."""
        call = self.call
        call.keys = asyncio.Queue()
        call.gathering = True
        self.seen()
        try:
            key = await self._prompt(gather.prompts)
            if call.presses:
                call.press(call.presses.popleft())
                self.seen()
            elif call.step and call.step.hang_up:
                raise HungUp
            return await self._digits(gather, key)
        finally:
            call.gathering = False
            self.seen()

    async def _prompt(self, prompts: tuple[twiml.Say | twiml.Pause, ...]) -> str | None:
        """Speak until it is said, or a key is pressed: that one."""
        for prompt in prompts:
            seconds = prompt.length if isinstance(prompt, twiml.Pause) else self._begin(prompt)
            if key := await self._key(seconds):
                return key
        return None

    async def _digits(self, gather: twiml.Gather, first: str | None) -> dict[str, str] | None:
        """Collect keys until there are enough, or one finishes, or none comes."""
        digits = finish = ""
        key = first or await self._key(gather.timeout)
        while key:
            if key == gather.finish_on_key:
                finish = key
                break
            digits += key
            if len(digits) == gather.num_digits:
                break
            key = await self._key(gather.timeout)
        if not digits and not gather.on_empty:
            return None
        return {"Digits": digits, "FinishedOnKey": finish, "msg": "Gather End"}

    async def _key(self, seconds: float) -> str | None:
        """Wait so many seconds for a key; None: none was pressed."""
        keys = self.call.keys
        try:
            async with self.clock.limit(seconds):
                return await keys.get()
        except TimeoutError:
            return None if keys.empty() else keys.get_nowait()


def _shown(error: twiml.BadTwiml) -> str:
    return "{}: {}".format(*error.args)
