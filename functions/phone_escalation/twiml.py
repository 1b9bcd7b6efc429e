"""TwiML, what Twilio is told to do with a call.

https://www.twilio.com/docs/voice/twiml
"""

from collections.abc import Iterator, Sequence
from urllib.parse import quote
from xml.etree import ElementTree as ET

# A <Say> takes so many characters, URL-encoded: some 500 in Japanese. More is Twilio's error 13521.
# https://www.twilio.com/docs/api/errors/13521
LONGEST = 4500
# Seconds until a document is asked for again.
MOMENT = 2
# Seconds to press a key in, after the last word.
WAIT = 6

Said = tuple[str, str]  # the voice's language, such as ja-JP, and the text


def ask(said: Sequence[Said], *, action: str, silence: str) -> str:
    """Say something and wait for one key, during it or after.

    The key goes to the address `action`; silence goes on to the address `silence`.
    """
    response = ET.Element("Response")
    gather = ET.SubElement(
        response,
        "Gather",
        {
            "numDigits": "1",
            "timeout": str(WAIT),
            "finishOnKey": "",
            "method": "POST",
            "action": action,
        },
    )
    _say(gather, said)
    ET.SubElement(response, "Redirect", {"method": "POST"}).text = silence
    return _text(response)


def goodbye(said: Sequence[Said] = ()) -> str:
    """Say something, if anything, and hang up."""
    response = ET.Element("Response")
    _say(response, said)
    ET.SubElement(response, "Hangup")
    return _text(response)


def wait(said: Sequence[Said], *, again: str) -> str:
    """Say something, wait a moment and ask the address `again` what to do."""
    response = ET.Element("Response")
    _say(response, said)
    ET.SubElement(response, "Pause", {"length": str(MOMENT)})
    ET.SubElement(response, "Redirect", {"method": "POST"}).text = again
    return _text(response)


def _say(parent: ET.Element, said: Sequence[Said]) -> None:
    # An empty one is Twilio's error 13520.
    for language, text in said:
        for part in _parts(_speakable(text)):
            if part.strip():
                ET.SubElement(parent, "Say", {"language": language}).text = part


def _parts(text: str) -> Iterator[str]:
    """Cut a text into what one <Say> takes, behind a sentence where there is one."""
    while text:
        end, length = 0, 0
        for end, character in enumerate(text):  # noqa: B007
            length += len(quote(character, safe=""))
            if length > LONGEST:
                break
        else:
            yield text
            return
        sentence = max(text.rfind(mark, 0, end) for mark in "。.、 ") + 1 or end
        yield text[:sentence]
        text = text[sentence:]


def _speakable(text: str) -> str:
    # XML knows no other control characters, escaped or not.
    return "".join(c if c.isprintable() else " " for c in text)


def _text(response: ET.Element) -> str:
    declared: str = ET.tostring(response, encoding="unicode")
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{declared}'
