import re
from dataclasses import replace
from datetime import UTC, datetime
from html.parser import HTMLParser
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_export import words
from data_export.request import Request

TOKYO = ZoneInfo("Asia/Tokyo")
REQUEST = Request(
    job_id="job-1",
    query="users",
    mail_to="hanako@example.com",
    parameters={"since": "2026-01-01", "most": 5, "deleted": True},
)
FILE = words.File(
    rows=1234567,
    size=121_400_000,
    finished=datetime(2026, 1, 15, 15, 4, 59, tzinfo=UTC),
    until=datetime(2026, 1, 22, 15, 4, 59, tzinfo=UTC),
    link="https://exports.example.com/live/exports/job-1/abc",
)
LANGUAGES = ("ja", "en")
HOSTILE = [
    "</title></style></script><script>alert(1)</script>",
    "\"><img src=x onerror='alert(1)'>",
    "a\r\nBcc: everyone@example.com\r\n\r\n<p>",
    "a\nSubject: another",
    "a\x0b\x0c\x1c\x1d\x1e\x85\u2028\u2029b",
    "\u202egnp.exe\u2066\x00\x1b[31m",
    "$job_id ${link} $$ {query} {0} %s",
    "&lt;b&gt; &amp;",
    "表\u3000👩\u200d💻 \N{ZERO WIDTH JOINER}",
]


class Page(HTMLParser):
    """The tags of a mail with their attributes, and its text."""

    def __init__(self, page):
        super().__init__()
        self.tags, self.text = [], ""
        self.feed(page)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, tuple(name for name, _ in attrs)))

    def handle_data(self, data):
        self.text += data


def done(title=None, **fields):
    request = replace(REQUEST, **fields)
    return words.done(request, title or request.query, FILE, TOKYO)


def failed(code="gave_up", detail="what was wrong", **fields):
    request = replace(REQUEST, **fields)
    return words.failed(request, request.query, {"code": code, "detail": detail})


MAILS = {"done": done, "failed": failed}


@pytest.mark.parametrize(
    ("language", "subject", "said"),
    [
        (
            "ja",
            "CSVファイルができました: users",
            (
                "内容: users\n条件: since: 2026-01-01, most: 5, deleted: true\n",
                "件数: 1,234,567 件\n",
                "サイズ: 121.4 MB\n作成日時: 2026年1月16日 00:04 (JST)\n",
                "有効期限: 2026年1月23日 00:04 (JST)\n",
                "転送しないでください",
                "もう一度お申し込みください",
            ),
        ),
        (
            "en",
            "Your CSV file is ready: users",
            (
                "Content: users\nConditions: since: 2026-01-01, most: 5, deleted: true\n",
                "Rows: 1,234,567\n",
                "Size: 121.4 MB\nMade at: 2026-01-16 00:04 (JST)\n",
                "works until: 2026-01-23 00:04 (JST)\n",
                "do not forward",
                "ask for it again",
            ),
        ),
    ],
)
def test_the_mail_of_a_file(language, subject, said):
    mail = done(language=language)
    assert mail.subject == subject
    for words_of_it in said:
        assert words_of_it in mail.text
    assert f"\n{FILE.link}\n" in mail.text
    assert mail.html.count(f'href="{FILE.link}"') == 2
    assert f">{FILE.link}</a>" in mail.html


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("code", words.REASONS)
def test_every_reason_has_words(code, language):
    mail = failed(code, "since: got 'x'", language=language)
    happened, advice = words.REASONS[code][language]
    about = {"query": "users", "detail": "since: got 'x'"}
    assert happened.format(**about) in mail.text
    assert advice in mail.text
    assert "job-1" in mail.text
    assert "job-1" in mail.html
    assert ("since: got" in mail.text) is (code == "parameter")
    assert ("since: got" in mail.html) is (code == "parameter")


def test_the_reasons_are_those_that_exports_end_with():
    assert words.REASONS.keys() == {
        *("unknown_query", "parameter", "query_failed", "too_slow", "too_long", "gave_up"),
        "too_large",
    }


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_reason_without_words_gets_general_ones_and_keeps_its_detail(language):
    mail = failed("of another day", "secret", language=language)
    for sentence in words.GENERAL[language]:
        assert sentence in mail.text
        assert sentence in mail.html
    assert "secret" not in mail.text + mail.html
    assert "of another day" not in mail.text + mail.html


def test_a_title_stands_for_the_name_and_no_conditions_are_said_to_be_none():
    mail = done(title="会員の一覧", parameters={})
    assert mail.subject == "CSVファイルができました: 会員の一覧"
    assert "内容: 会員の一覧\n条件: なし\n" in mail.text
    assert "Conditions: none\n" in done(parameters={}, language="en").text


def test_long_values_are_cut():
    mail = done(query="q" * 1000, parameters={"p": "v" * 1000})
    assert len(mail.subject) < 130
    assert max(map(len, mail.text.splitlines())) < 320


@pytest.mark.parametrize("value", HOSTILE, ids=range(len(HOSTILE)))
@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("kind", MAILS)
def test_a_hostile_value_stays_a_value(kind, language, value):
    check(kind, language, value)


@given(st.sampled_from(sorted(MAILS)), st.sampled_from(LANGUAGES), st.text(max_size=120))
def test_any_value_stays_a_value(kind, language, value):
    check(kind, language, value)


def check(kind, language, value):
    plain, hostile = (
        MAILS[kind](
            language=language,
            query=one,
            parameters={one: one},
            **({"code": "parameter", "detail": one} if kind == "failed" else {}),
        )
        for one in ("users", value)
    )
    for mail in (plain, hostile):
        mail.subject.encode()
        mail.text.encode()
        mail.html.encode()
        assert mail.subject.splitlines() == [mail.subject]
        assert mail.subject.isprintable() or not re.search(r"[\x00-\x1f\x7f-\x9f]", mail.subject)
    # As many lines, the same tags: nothing was added but words.
    assert len(hostile.text.splitlines()) == len(plain.text.splitlines())
    assert len(hostile.html.splitlines()) == len(plain.html.splitlines())
    assert Page(hostile.html).tags == Page(plain.html).tags
    if kind == "failed":
        assert FILE.link not in hostile.text


def test_hostile_words_are_shown_as_they_are():
    mail = done(query="<b>&\"'</b>")
    assert "内容: <b>&\"'</b>\n" in mail.text
    assert "<dd>&lt;b&gt;&amp;&quot;&#x27;&lt;/b&gt;</dd>" in mail.html


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("kind", MAILS)
def test_the_form_of_the_html(kind, language):
    page = MAILS[kind](language=language).html
    tags = [tag for tag, _ in Page(page).tags]
    assert f'<html lang="{language}">' in page
    assert tags.count("style") == 1
    assert not {"img", "script", "table", "link", "form"} & {*tags}
    assert not re.search(r"url\(|@import|\$", page)
    assert "color-scheme: light dark" in page


def test_every_file_is_used():
    folder = Path(words.__file__).parent / "mails"
    found = {path.name for path in folder.iterdir()}
    kinds = {
        f"{kind}.{language}.{form}"
        for kind in MAILS
        for language in LANGUAGES
        for form in ("txt", "html")
    }
    assert found == kinds | {"frame.html"}


@pytest.mark.parametrize(
    ("size", "shown"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1.0 kB"),
        (999_949, "999.9 kB"),
        (999_950, "1.0 MB"),
        (121_400_000, "121.4 MB"),
        (5 * 10**12, "5.0 TB"),
    ],
)
def test_sizes(size, shown):
    assert words.sized(size) == shown
