import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.datastructures import ImmutableMultiDict
from twilio.request_validator import RequestValidator

from phone_escalation.signature import signature, signed

URL = "https://mycompany.com/myapp.php?foo=1&bar=2"
FIELDS = [
    ("CallSid", "CA1234567890ABCDE"),
    ("Caller", "+14158675309"),
    ("Digits", "1234"),
    ("From", "+14158675309"),
    ("To", "+18005551212"),
]
SIGNATURE = "RSOYDt4T1cUTdK1PDd93/VVr8B8="


def test_twilios_own_vector():
    assert signature("12345", URL, FIELDS) == SIGNATURE
    assert signature("12345", URL, reversed(FIELDS)) == SIGNATURE


@pytest.mark.parametrize(
    ("given", "tokens", "url", "fields", "good"),
    [
        (SIGNATURE, ["12345"], URL, FIELDS, True),
        (SIGNATURE, ["new", "12345"], URL, FIELDS, True),
        (SIGNATURE, ["12345", "old"], URL, FIELDS, True),
        (SIGNATURE, ["123456"], URL, FIELDS, False),
        (SIGNATURE, [], URL, FIELDS, False),
        (SIGNATURE, ["12345"], URL + "3", FIELDS, False),
        (SIGNATURE, ["12345"], URL, FIELDS[1:], False),
        (SIGNATURE, ["12345"], URL, [*FIELDS, ("Digits", "1")], False),
        (SIGNATURE, ["12345"], URL, [*FIELDS, FIELDS[0]], True),
        (SIGNATURE.lower(), ["12345"], URL, FIELDS, False),
        ("", ["12345"], URL, FIELDS, False),
        ("日本", ["12345"], URL, FIELDS, False),
    ],
)
def test_who_signed(given, tokens, url, fields, good):
    assert signed(given, tokens, url, fields) is good


WORD = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)


@given(WORD, st.lists(st.tuples(WORD.filter(bool) | st.sampled_from(["A", "a", "B"]), WORD)))
def test_as_twilios_own_library(token, fields):
    official = RequestValidator(token).compute_signature(URL, ImmutableMultiDict(fields))
    assert signature(token, URL, fields) == official


@pytest.mark.parametrize("signed_over", ["https://a.example", "https://a.example:443"])
@pytest.mark.parametrize("checked", ["https://a.example", "https://a.example:443"])
def test_with_and_without_the_port(signed_over, checked):
    path = "/phonecall/g/1?token=t.0"
    given = RequestValidator("12345").compute_signature(signed_over + path, dict(FIELDS))
    assert signed(given, ["12345"], checked + path, FIELDS)
    assert not signed(given, ["12345"], checked.replace("https", "http") + path, FIELDS)


def test_another_port_is_another_address_or_none():
    url = "http://127.0.0.1:4600/p?token=t"
    for over, good in (
        (url, True),
        (url.replace(":4600", ""), True),
        (url.replace("46", "47"), False),
    ):
        given = RequestValidator("12345").compute_signature(over, dict(FIELDS))
        assert signed(given, ["12345"], url, FIELDS) is good
