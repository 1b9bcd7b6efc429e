"""The page that a person's browser shows where a link leads to no file."""

import html

from common.api import Answer

# A heading and a sentence in Japanese, then in English.
_WORDS = {
    404: (
        "ファイルが見つかりません",
        "メールのリンクが途中で切れていないか、もう一度ご確認ください。",
        "There is no such file",
        "Please check that the link is as it stands in the mail.",
    ),
    410: (
        "このリンクは使えなくなりました",
        "有効期限を過ぎたか、取り消されました。必要な場合は、もう一度お申し込みください。",
        "This link works no longer",
        "Its time is over, or it was withdrawn. If you still need the file, please ask again.",
    ),
    500: (
        "ファイルをお渡しできませんでした",
        "しばらくしてから、もう一度リンクを開いてください。",
        "The file could not be handed over",
        "Please open the link again in a while.",
    ),
}
_PAGE = """\
<!DOCTYPE html>
<html lang="ja">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{0} / {2}</title>
<style>
:root {{ color-scheme: light dark; }}
body {{ margin: 15vh auto 0; padding: 0 16px; max-width: 36em; font: 16px/1.7 sans-serif; }}
h1, h2 {{ font-size: 20px; }}
</style>
</head>
<body>
<h1>{0}</h1>
<p>{1}</p>
<section lang="en">
<h2>{2}</h2>
<p>{3}</p>
</section>
{number}</body>
</html>
"""
# Nobody keeps the answer, and the address, which is a key, goes nowhere.
HEADERS = {"Cache-Control": "no-store", "Referrer-Policy": "no-referrer"}


def told(status: int, _: str = "", request_id: str | None = None, **headers: str) -> Answer:
    """Tell a person why there is no file; what the function said of it stays in its log."""
    number = f"<p><small>ID: {html.escape(request_id)}</small></p>\n" if request_id else ""
    return {
        "statusCode": status,
        "headers": {
            "Content-Type": "text/html; charset=utf-8",
            "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'",
            "X-Content-Type-Options": "nosniff",
            **HEADERS,
            **headers,
        },
        "body": _PAGE.format(*_WORDS[status], number=number),
    }
