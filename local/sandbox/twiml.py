"""Reading TwiML: what an answer tells the switchboard to do in a call, strictly.

Read are Say, Gather (of keys), Pause, Redirect and Hangup. A document that Twilio would stumble on
is refused with the code of its error dictionary (12100, 13310 …).

Stricter than Twilio, which warns and goes on: an unknown verb, attribute or value (12200 or the
verb's own code). What Twilio has and is not played here (Dial, Play, Record, speech …) is refused
too, in words that say so.
"""

import re
import xml.etree.ElementTree as ET
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal
from urllib.parse import quote

KEYS = "0123456789*#"
_LARGEST = 64 * 1024  # bytes of a document
_LONGEST = 4500  # characters of a Say's text once URL-encoded (13521): some 500 in Japanese
_LANGUAGE = re.compile(r"[a-z]{2,3}(-[A-Z][a-z]{3})?-[A-Z]{2}|arb|nb-NO")
_ELSEWHERE = {
    *("Connect", "Dial", "Enqueue", "Leave", "Pay", "Play", "Prompt", "Record"),
    *("Refer", "Reject", "Siprec", "Sms", "Start", "Stop", "Stream"),
}
_METHODS = ("GET", "POST")

Method = Literal["GET", "POST"]


class BadTwiml(Exception):
    """A document that cannot be followed: (Twilio's error code, what is wrong)."""


@dataclass(frozen=True)
class Say:
    """A text to speak, `loop` times; 0: until the call ends."""

    text: str
    language: str = "en-US"
    loop: int = 1


@dataclass(frozen=True)
class Pause:
    """Silence, in seconds."""

    length: int = 1


@dataclass(frozen=True)
class Gather:
    """A wait for keys, while `prompts` are spoken and `timeout` seconds after.

    `action` None: the document's own address. `num_digits` None: any number; `finish_on_key` "":
    no key ends it. `on_empty`: the action is asked without a key too.
    """

    prompts: tuple[Say | Pause, ...] = ()
    action: str | None = None
    method: Method = "POST"
    timeout: int = 5
    num_digits: int | None = None
    finish_on_key: str = "#"
    on_empty: bool = False


@dataclass(frozen=True)
class Redirect:
    """Go on with another document; `url` may be relative, empty: the document's own address."""

    url: str
    method: Method = "POST"


@dataclass(frozen=True)
class Hangup:
    """End the call."""


Verb = Say | Pause | Gather | Redirect | Hangup


def read_answer(content_type: str, body: bytes) -> tuple[Verb, ...]:
    """Return the verbs of a webhook's answer, by its Content-Type; raises BadTwiml.

    XML is TwiML, also as text/html; plain text is said; anything else is 12300.
    """
    kind = content_type.partition(";")[0].strip().lower()
    if kind in ("text/xml", "application/xml", "text/html"):
        return read(body)
    if kind == "text/plain":
        return (_say(body.decode("utf-8", "replace").strip(), {}),)
    raise BadTwiml(12300, f"Invalid Content-Type: {ascii(kind) if kind else 'none'}")


def read(body: bytes | str) -> tuple[Verb, ...]:
    """Return the verbs of a TwiML document, in order; raises BadTwiml."""
    if len(body) > _LARGEST:
        raise BadTwiml(11750, f"the document is larger than {_LARGEST} bytes")
    if b"<!DOCTYPE" in (body if isinstance(body, bytes) else body.encode()):
        raise BadTwiml(12100, "Document parse failure: a DOCTYPE")
    try:
        root = ET.fromstring(body)  # noqa: S314 (without a DOCTYPE there are no entities)
    except (ET.ParseError, ValueError, LookupError) as error:
        raise BadTwiml(12100, f"Document parse failure: {error}") from None
    if root.tag != "Response":
        raise BadTwiml(12100, f"Document parse failure: the root is {_shown(root.tag)}")
    _no_text(root)
    _only(root, ())
    return tuple(_verb(element) for element in root)


def _verb(element: ET.Element) -> Verb:
    match element.tag:
        case "Gather":
            return _gather(element)
        case "Redirect":
            _leaf(element)
            _only(element, ("method",))
            return Redirect((element.text or "").strip(), _method(element, 13710))
        case "Hangup":
            _leaf(element)
            _no_text(element)
            _only(element, ())
            return Hangup()
        case _:
            return _prompt(element, "Response")


def _prompt(element: ET.Element, inside: str) -> Say | Pause:
    match element.tag:
        case "Say":
            _leaf(element)
            _only(element, ("language", "loop", "voice"))
            return _say((element.text or "").strip(), element.attrib)
        case "Pause":
            _leaf(element)
            _no_text(element)
            _only(element, ("length",))
            return Pause(_whole(element, "length", 1, 1, 13610))
        case str(tag) if tag in _ELSEWHERE and inside == "Response":
            raise BadTwiml(12200, f"{tag} is a verb of Twilio's that is not played here")
        case tag:
            raise BadTwiml(12200, f"unknown or unexpected element {_shown(tag)} in {inside}")


def _say(text: str, attributes: Mapping[str, str]) -> Say:
    if not text:
        raise BadTwiml(13520, "Say: no text")
    encoded = len(quote(text, safe=""))
    if encoded > _LONGEST:
        raise BadTwiml(13521, f"Say: at most {_LONGEST} characters URL-encoded, got {encoded}")
    language = attributes.get("language", "en-US")
    if not _LANGUAGE.fullmatch(language):
        raise BadTwiml(13512, f"Say: invalid language {_shown(language)}")
    loop = attributes.get("loop", "1")
    if not re.fullmatch(r"[0-9]{1,4}", loop):
        raise BadTwiml(13510, f"Say: invalid loop {_shown(loop)}")
    return Say(text, language, int(loop))


def _gather(element: ET.Element) -> Gather:
    _no_text(element)
    known = ("action", "finishOnKey", "input", "language", "method", "numDigits", "timeout")
    _only(element, (*known, "actionOnEmptyResult"))
    given = element.attrib
    if given.get("input", "dtmf") != "dtmf":
        raise BadTwiml(12200, "Gather: only input=dtmf is played here")
    finish = given.get("finishOnKey", "#")
    if len(finish) > 1 or finish not in KEYS:
        raise BadTwiml(13310, f"Gather: invalid finishOnKey {_shown(finish)}")
    on_empty = given.get("actionOnEmptyResult", "false")
    if on_empty not in ("true", "false"):
        raise BadTwiml(13338, f"Gather: invalid actionOnEmptyResult {_shown(on_empty)}")
    return Gather(
        prompts=tuple(_prompt(prompt, "Gather") for prompt in element),
        action=given.get("action"),
        method=_method(element, 13312),
        timeout=_whole(element, "timeout", 5, 0, 13313),
        num_digits=_whole(element, "numDigits", 1, 1, 13314) if "numDigits" in given else None,
        finish_on_key=finish,
        on_empty=on_empty == "true",
    )


def _method(element: ET.Element, code: int) -> Method:
    given = element.get("method", "POST").upper()
    if given == "GET":
        return "GET"
    if given == "POST":
        return "POST"
    raise BadTwiml(code, f"{element.tag}: invalid method {_shown(given)}")


def _whole(element: ET.Element, name: str, default: int, least: int, code: int) -> int:
    given = element.get(name, str(default))
    if not re.fullmatch(r"[0-9]{1,6}", given) or int(given) < least:
        raise BadTwiml(code, f"{element.tag}: invalid {name} {_shown(given)}")
    return int(given)


def _only(element: ET.Element, names: tuple[str, ...]) -> None:
    for name in element.attrib:
        if name not in names:
            raise BadTwiml(12200, f"{element.tag}: unknown attribute {_shown(name)}")


def _leaf(element: ET.Element) -> None:
    for child in element:
        raise BadTwiml(12200, f"{element.tag}: {_shown(child.tag)} inside is not played here")


def _no_text(element: ET.Element) -> None:
    if any(text and text.strip() for text in (element.text, *(child.tail for child in element))):
        raise BadTwiml(12200, f"{element.tag}: text outside of a Say")


def _shown(text: object) -> str:
    return ascii(text)[:80]
