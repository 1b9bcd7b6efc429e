from urllib.parse import quote
from xml.etree import ElementTree as ET

from hypothesis import given
from hypothesis import strategies as st

from phone_escalation import twiml

HERE = "https://x/phonecall/g/1?token=t.0"


def read(text):
    return ET.fromstring(text.encode())


def test_the_question():
    said = [("ja-JP", "一杯です。"), ("en-US", "Press 1.")]
    response = read(twiml.ask(said, action=HERE, silence=HERE + "1"))
    gather, redirect = response
    assert (response.tag, gather.tag, redirect.tag) == ("Response", "Gather", "Redirect")
    assert gather.attrib == {
        "numDigits": "1",
        "timeout": "6",
        "finishOnKey": "",
        "method": "POST",
        "action": HERE,
    }
    assert [(say.tag, say.get("language"), say.text) for say in gather] == [
        ("Say", "ja-JP", "一杯です。"),
        ("Say", "en-US", "Press 1."),
    ]
    assert (redirect.attrib, redirect.text) == ({"method": "POST"}, HERE + "1")


def test_the_goodbye():
    response = read(twiml.goodbye([("en-US", "Goodbye.")]))
    assert [one.tag for one in response] == ["Say", "Hangup"]
    assert [one.tag for one in read(twiml.goodbye())] == ["Hangup"]


ANY = st.text(st.characters(exclude_categories=()), min_size=1)


@given(ANY, st.text("abc<>&\"'?=./ 漢"))
def test_any_text_is_well_formed_and_what_can_be_said_survives(text, address):
    for written in (
        twiml.ask([("ja-JP", text)], action=address, silence=address),
        twiml.goodbye([("ja-JP", text)]),
    ):
        response = read(written)
        if not any(c.isprintable() and c != " " for c in text):
            assert response.find(".//Say") is None
            continue
        say = response.find(".//Say")
        assert len(say.text) == len(text)
        pairs = list(zip(say.text, text, strict=True))
        assert all(heard in (c, " ") for heard, c in pairs)
        assert all(heard == c for heard, c in pairs if c.isprintable())
        assert len(list(response.iter("Say"))) == 1
    gather, redirect = read(twiml.ask([("ja-JP", text)], action=address, silence=address))
    assert (gather.get("action"), redirect.text or "") == (address, address)


@given(st.text(alphabet="字a 。.<&é", min_size=1, max_size=3000))
def test_long_texts_are_cut_into_what_one_say_takes_and_nothing_is_lost(text):
    says = [say.text for say in read(twiml.goodbye([("ja-JP", text)])).iter("Say")]
    assert all(len(quote(said, safe="")) <= twiml.LONGEST for said in says)
    assert all(said.strip() for said in says)
    assert "".join(says).replace(" ", "") == text.replace(" ", "")


def test_an_empty_text_is_not_said():
    assert [one.tag for one in read(twiml.goodbye([("ja-JP", " "), ("en-US", "")]))] == ["Hangup"]


def test_markup_stays_text():
    text = '</Say><Hangup/>&lt;"]]>'
    assert read(twiml.goodbye([("en-US", text)])).find("Say").text == text
