import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from twilio.twiml.voice_response import VoiceResponse

from sandbox import twiml
from sandbox.twiml import BadTwiml, Gather, Hangup, Pause, Redirect, Say

GOOD = [
    (f"<Say>{'字' * 500}</Say>", (Say("字" * 500),)),
    ("", ()),
    ("<Say>a &amp; b</Say>", (Say("a & b"),)),
    (
        '<Say language="ja-JP" voice="Polly.Mizuki" loop="2"> 障害 </Say>',
        (Say("障害", "ja-JP", 2),),
    ),
    ("<Pause/>", (Pause(1),)),
    ('<Pause length="3"/><Hangup/>', (Pause(3), Hangup())),
    ("<Redirect>/a?b=1&amp;c=2</Redirect>", (Redirect("/a?b=1&c=2"),)),
    ('<Redirect method="get"/>', (Redirect("", "GET"),)),
    ("<Gather/>", (Gather(),)),
    (
        """<Gather action="/k" numDigits="1" timeout="8" finishOnKey="" input="dtmf" method="POST"
        actionOnEmptyResult="true" language="ja-JP"><Say>1?</Say><Pause length="2"/></Gather>""",
        (Gather((Say("1?"), Pause(2)), "/k", "POST", 8, 1, "", on_empty=True),),
    ),
]
BAD = [
    ("", 12100),
    ("<Response>", 12100),
    ("<Response><Say>a</say></Response>", 12100),
    ("<response/>", 12100),
    (' <?xml version="1.0"?><Response/>', 12100),
    ('<!DOCTYPE a [<!ENTITY b "c">]><Response><Say>&b;</Say></Response>', 12100),
    ("<Response>hello</Response>", 12200),
    ("<Response><say>a</say></Response>", 12200),
    ("<Response><Dial>+81</Dial></Response>", 12200),
    ('<Response><Say speed="2">a</Say></Response>', 12200),
    ("<Response><Say>a<break/></Say></Response>", 12200),
    ("<Response><Gather><Hangup/></Gather></Response>", 12200),
    ('<Response><Gather input="speech"/></Response>', 12200),
    ("<Response><Say> </Say></Response>", 13520),
    ("<Response><Say/></Response>", 13520),
    (f"<Response><Say>{'a' * 4501}</Say></Response>", 13521),
    (f"<Response><Say>{'字' * 501}</Say></Response>", 13521),
    ('<Response><Say language="ja">a</Say></Response>', 13512),
    ('<Response><Say loop="-1">a</Say></Response>', 13510),
    ('<Response><Pause length="0"/></Response>', 13610),
    ('<Response><Redirect method="PUT">/a</Redirect></Response>', 13710),
    ('<Response><Gather finishOnKey="12"/></Response>', 13310),
    ('<Response><Gather finishOnKey="a"/></Response>', 13310),
    ('<Response><Gather method="PUT"/></Response>', 13312),
    ('<Response><Gather timeout="-1"/></Response>', 13313),
    ('<Response><Gather numDigits="0"/></Response>', 13314),
    ('<Response><Gather actionOnEmptyResult="1"/></Response>', 13338),
    (f"<Response>{' ' * 70_000}</Response>", 11750),
]
TYPES = [
    ("text/xml", (Pause(1),)),
    ("application/xml; charset=utf-8", (Pause(1),)),
    ("text/html", (Pause(1),)),
    ("text/plain", (Say("<Response><Pause/></Response>"),)),
    ("application/json", 12300),
    ("", 12300),
]


@pytest.mark.parametrize(("document", "verbs"), GOOD)
def test_a_document_is_read(document, verbs):
    assert twiml.read(f"<Response>{document}</Response>".encode()) == verbs


@pytest.mark.parametrize(("document", "code"), BAD)
def test_a_document_that_is_no_good(document, code):
    with pytest.raises(BadTwiml) as refused:
        twiml.read(document.encode())
    assert refused.value.args[0] == code


@pytest.mark.parametrize(("kind", "expected"), TYPES)
def test_the_content_type_tells_how_an_answer_is_read(kind, expected):
    answer = b"<Response><Pause/></Response>"
    if isinstance(expected, tuple):
        assert twiml.read_answer(kind, answer) == expected
    else:
        with pytest.raises(BadTwiml) as refused:
            twiml.read_answer(kind, answer)
        assert refused.value.args[0] == expected


def test_what_the_official_library_writes_is_read():
    response = VoiceResponse()
    keys = response.gather(num_digits=1, timeout=8, action="/k?a=1&b=2", finish_on_key="")
    keys.say("<障害> & 'more'", language="ja-JP")
    response.pause(length=1)
    response.redirect("/again?token=a.1", method="POST")
    response.hangup()
    assert twiml.read(str(response)) == (
        Gather((Say("<障害> & 'more'", "ja-JP"),), "/k?a=1&b=2", timeout=8, num_digits=1,
               finish_on_key=""),
        Pause(1),
        Redirect("/again?token=a.1"),
        Hangup(),
    )  # fmt: skip


@given(st.binary() | st.text().map(lambda text: f"<Response>{text}</Response>".encode()))
def test_anything_is_read_or_refused(document):
    with contextlib.suppress(BadTwiml):
        twiml.read(document)
