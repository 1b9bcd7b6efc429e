"""What the mails say of an export that ended, in Japanese or English."""

import html
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, tzinfo
from functools import cache
from pathlib import Path
from string import Template
from typing import Literal

from data_export.request import Request

Language = Literal["ja", "en"]

_FOLDER = Path(__file__).parent / "mails"
# Control characters, line breaks of Unicode, what turns the direction of a text.
_UNSEEN = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069]+")


@dataclass(frozen=True)
class Mail:
    """A mail as it is sent: the subject is one line."""

    subject: str
    text: str
    html: str


@dataclass(frozen=True)
class File:
    """A file that a mail leads to: `size` in bytes, `link` works until `until`."""

    rows: int
    size: int
    finished: datetime
    until: datetime
    link: str = field(repr=False)


# What happened, and what to do, by the code of a failed job's reason. `{query}` is the name that
# was asked for, `{detail}` what the function said: only where it is about the request.
REASONS: dict[str, dict[Language, tuple[str, str]]] = {
    "unknown_query": {
        "ja": (
            "「{query}」という名前のデータは用意されていません。",
            "名前をご確認のうえ、もう一度お申し込みください。",
        ),
        "en": (
            "There is no data of the name “{query}”.",
            "Please check the name and ask again.",
        ),
    },
    "parameter": {
        "ja": (
            "条件の指定に誤りがあります ({detail})。",
            "条件をご確認のうえ、もう一度お申し込みください。",
        ),
        "en": (
            "A condition is missing or is not what is taken ({detail}).",
            "Please check the conditions and ask again.",
        ),
    },
    "query_failed": {
        "ja": (
            "データベースでの検索に失敗しました。",
            (
                "もう一度お申し込みいただいても同じ結果になることがあります。"
                "下の番号を添えて、システムの担当者にお知らせください。"
            ),
        ),
        "en": (
            "The database refused the query.",
            (
                "Asking again may well end the same way. Please tell those who look after "
                "the system, with the number below."
            ),
        ),
    },
    "too_slow": {
        "ja": (
            "検索が制限時間内に終わりませんでした。",
            "期間を短くするなど、条件を絞って、もう一度お申し込みください。",
        ),
        "en": (
            "The query took longer than it may.",
            "Please narrow the conditions, for example to a shorter period, and ask again.",
        ),
    },
    "too_long": {
        "ja": (
            "データが多く、制限時間内に書き出しきれませんでした。",
            "期間を短くするなど、条件を絞って、何回かに分けてお申し込みください。",
        ),
        "en": (
            "There is more data than can be written in the time that there is.",
            "Please narrow the conditions, for example to a shorter period, and ask in parts.",
        ),
    },
    "gave_up": {
        "ja": (
            "何度か試しましたが、完了できませんでした。",
            (
                "しばらくしてから、もう一度お申し込みください。"
                "続く場合は、下の番号を添えて、システムの担当者にお知らせください。"
            ),
        ),
        "en": (
            "We tried several times without success.",
            (
                "Please ask again in a while. If it goes on, please tell those who look after the "
                "system, with the number below."
            ),
        ),
    },
    "too_large": {
        "ja": (
            "ファイルが、作成できる大きさを超えました。",
            "期間を短くするなど、条件を絞って、何回かに分けてお申し込みください。",
        ),
        "en": (
            "The file would be larger than a file can be.",
            "Please narrow the conditions, for example to a shorter period, and ask in parts.",
        ),
    },
}
GENERAL: dict[Language, tuple[str, str]] = {
    "ja": (
        "処理の途中で問題が起きました。",
        "下の番号を添えて、システムの担当者にお知らせください。",
    ),
    "en": (
        "Something went wrong on the way.",
        "Please tell those who look after the system, with the number below.",
    ),
}
_NONE: dict[Language, str] = {"ja": "なし", "en": "none"}


def done(request: Request, title: str, file: File, zone: tzinfo) -> Mail:
    """Return the mail that leads to a file; `title` says what it holds, `zone` is for its times."""
    values = {
        "rows": f"{file.rows:,}",
        "size": sized(file.size),
        "finished": timed(file.finished.astimezone(zone), request.language),
        "until": timed(file.until.astimezone(zone), request.language),
        "link": file.link,
    }
    return _mail("done", request, title, values)


def failed(request: Request, title: str, reason: Mapping[str, str]) -> Mail:
    """Return the mail that says why there is no file; a code without words gets general ones."""
    sentences = REASONS.get(reason["code"], GENERAL)[request.language]
    happened, advice = (
        one.format(query=cut(request.query, 100), detail=cut(reason["detail"], 200))
        for one in sentences
    )
    return _mail("failed", request, title, {"happened": happened, "advice": advice})


def clean(text: str) -> str:
    """Put a blank for what is not seen and for every line break, so that a text is one line."""
    return _UNSEEN.sub(" ", text).strip()


def cut(text: str, most: int) -> str:
    """Shorten a text; an ellipsis says so."""
    return text if len(text) <= most else text[: most - 1] + "…"


def sized(size: float) -> str:
    """Return a size in bytes for people; a kB is 1,000 of them."""
    if size < 1000:
        return f"{size} B"
    units = iter(("kB", "MB", "GB", "TB"))
    # What would be rounded to 1000.0 is 1.0 of the next.
    while size >= 999.95:
        size, unit = size / 1000, next(units)
    return f"{size:.1f} {unit}"


def timed(time: datetime, language: Language) -> str:
    """Return a time for people, to the minute, with the name of its zone."""
    date = f"{time.year}年{time.month}月{time.day}日" if language == "ja" else f"{time:%Y-%m-%d}"
    return f"{date} {time:%H:%M} ({time.tzname()})"


def _mail(name: str, request: Request, title: str, values: Mapping[str, str]) -> Mail:
    language = request.language
    asked = ", ".join(f"{key}: {_shown(value)}" for key, value in request.parameters.items())
    shown = {
        "job_id": request.job_id,
        "what": cut(title, 100),
        "parameters": cut(asked, 300) or _NONE[language],
        **values,
    }
    plain = {key: clean(value) for key, value in shown.items()}
    first, _, text = _template(f"{name}.{language}.txt").substitute(plain).partition("\n")
    subject = first.removeprefix("Subject: ")
    escaped = {key: html.escape(value) for key, value in (plain | {"subject": subject}).items()}
    body = _template(f"{name}.{language}.html").substitute(escaped)
    whole = _template("frame.html").substitute(escaped, language=language, body=body)
    return Mail(subject, text.lstrip(), whole)


def _shown(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


@cache
def _template(file: str) -> Template:
    return Template((_FOLDER / file).read_text(encoding="utf-8"))
