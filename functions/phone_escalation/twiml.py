"""TwiML, what Twilio is told to do with a call.

https://www.twilio.com/docs/voice/twiml
"""

from collections.abc import Sequence
from xml.etree import ElementTree as ET

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


def _say(parent: ET.Element, said: Sequence[Said]) -> None:
    for language, text in said:
        ET.SubElement(parent, "Say", {"language": language}).text = _speakable(text)


def _speakable(text: str) -> str:
    # XML knows no other control characters, escaped or not.
    return "".join(c if c.isprintable() else " " for c in text)


def _text(response: ET.Element) -> str:
    declared: str = ET.tostring(response, encoding="unicode")
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{declared}'
