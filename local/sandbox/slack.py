"""Slack's Web API, the part that posts files and messages, as strict as docs.slack.dev says.

Played: auth.test, chat.postMessage, files.getUploadURLExternal, the POST of the bytes to its URL,
files.completeUploadExternal; the retired files.upload is `method_deprecated`, any other method
`unknown_method`. An error is HTTP 200 with `{"ok": false, "error": …}`, except at the upload URL,
which answers in plain text with an HTTP status.

Faults can be aimed: `slack-upload` meets the bytes, `slack-complete` the completion, `slack` all
other methods. With status 200 the message is the error (`not_in_channel`); 429 is `ratelimited`
with Retry-After 1 unless the fault says otherwise. A completion whose client gave up waiting may or
may not have posted its message: with a `delay` it has not, with `handled` besides it has.

What the documentation does not say: a completion of 15 files or more is an `internal_error`, as
users report (slackapi/python-slack-sdk#1653). A guess here: the errors `file_update_failed` (bytes
missing, or already completed) and `thread_not_found` (no such message in the channel, or a reply),
that the upload URL answers 400 to a wrong length, and `invalid_arguments` for a thread in several
channels. Not played: tokens as an argument, multipart bodies, names instead of channel ids.
"""

import hmac
import json
import mimetypes
import secrets
import sqlite3
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, quote

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from sandbox.inbox import Inbox, open_database
from sandbox.service import Service, setting

APP = "Mimamori"
_TEAM, _BOT, _USER = "T0123456789", "B0123456789", "U0123456789"
_CHANNELS = "C0123456789:alerts,-C0999999999:private"
_SCOPES = "files:write,chat:write"
_LARGEST = 100 * 1024 * 1024  # bytes of a file
_LONGEST = 40_000  # characters of a text
_LONGEST_DESCRIPTION = 1000  # characters of a picture's description
_MOST = 14  # files of a completion
_SHOWN = ("image/png", "image/jpeg", "image/gif", "image/webp")  # by a browser, in the page
_SCHEMA = """
CREATE TABLE IF NOT EXISTS files (
    id TEXT PRIMARY KEY,
    key TEXT NOT NULL UNIQUE,
    name TEXT NOT NULL,
    length INTEGER NOT NULL,
    state TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS descriptions (
    id TEXT PRIMARY KEY,
    text TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS messages (
    ts INTEGER PRIMARY KEY,
    channel TEXT NOT NULL,
    thread INTEGER
);
"""


@dataclass(frozen=True)
class Post:
    """What is put in a channel; `thread` is the ts of the message it answers."""

    text: str
    thread: int | None = None
    files: Sequence[Mapping[str, Any]] = ()
    blocks: Sequence[Any] = ()


class Refused(Exception):
    """A call that Slack would refuse: (error, further fields of the answer)."""


@dataclass(frozen=True)
class Channel:
    """A channel of the workspace; `member`: the app was invited to it."""

    id: str
    name: str
    member: bool


@dataclass(frozen=True)
class Slack:
    """The state and settings of the played Slack.

    A file's state: `asked` (it has its upload URL), `uploaded`, `completed`. A message's ts is in
    microseconds. `token` None: no token is right.
    """

    inbox: Inbox
    database: sqlite3.Connection
    folder: Path
    token: str | None
    scopes: Sequence[str]
    channels: Mapping[str, Channel]


def play(inbox: Inbox, environ: Mapping[str, str]) -> list[Service]:
    """Make the services of the environment.

    SANDBOX_SLACK_BOT_TOKEN: the token that is right; without it none is. SANDBOX_SLACK_CHANNELS:
    `id:name` of each channel, comma separated, with a `-` before one the app is not a member of;
    default `C0123456789:alerts,-C0999999999:private`. SANDBOX_SLACK_SCOPES: what the token may,
    default `files:write,chat:write`. SANDBOX_DIR: where files are kept.
    """
    kept = Path(setting(environ, "SANDBOX_DIR"))
    slack = Slack(
        inbox=inbox,
        database=open_database(kept / "slack.sqlite3", _SCHEMA),
        folder=_folder(environ),
        token=environ.get("SANDBOX_SLACK_BOT_TOKEN") or None,
        scopes=(environ.get("SANDBOX_SLACK_SCOPES") or _SCOPES).split(","),
        channels=read_channels(environ.get("SANDBOX_SLACK_CHANNELS") or _CHANNELS),
    )
    slack.folder.mkdir(exist_ok=True)

    def route(path: str, act: Callable[[Slack, Request], Awaitable[dict[str, Any]]]) -> Route:
        async def endpoint(request: Request) -> Response:
            try:
                return JSONResponse({"ok": True, **await act(slack, request)})
            except Refused as refused:
                return _not_ok(*refused.args)

        return Route(f"/api/{path}", endpoint, methods=["GET", "POST"])

    async def upload(request: Request) -> Response:
        return await _upload(slack, request)

    complete = "files.completeUploadExternal"
    return [
        Service(
            name="slack-complete",
            routes=[route(complete, _complete)],
            refuse=refuse,
            refuses_with_200=True,
        ),
        Service(
            name="slack-upload",
            routes=[Route("/upload/v1/{key}", upload, methods=["POST"])],
            refuse=refuse_bytes,
        ),
        Service(
            name="slack",
            routes=[
                route("auth.test", _test),
                route("chat.postMessage", _post_message),
                route("files.getUploadURLExternal", _upload_url),
                route("files.upload", _retired),
                route("{method}", _unknown),
            ],
            refuse=refuse,
            refuses_with_200=True,
        ),
    ]


def file_routes(environ: Mapping[str, str]) -> list[Route]:
    """Return `GET /files/<id>/<name>`: a completed file, as the inbox page shows it."""
    folder = _folder(environ)
    database = open_database(Path(setting(environ, "SANDBOX_DIR")) / "slack.sqlite3", _SCHEMA)

    async def file(request: Request) -> Response:
        found = database.execute(
            "SELECT id, name FROM files WHERE id = ? AND state = 'completed'",
            (request.path_params["id"],),
        ).fetchone()
        if not found:
            return PlainTextResponse("There is no such file.", status_code=404)
        number, name = found
        kind = _kind(name)
        # What can carry script is handed over as a file and never opened here.
        disposition = "inline" if kind in _SHOWN else "attachment"
        return FileResponse(
            folder / number,
            media_type=kind,
            headers={
                "Content-Disposition": f"{disposition}; filename*=UTF-8''{quote(name, safe='')}",
                "Content-Security-Policy": "default-src 'none'; sandbox",
                "X-Content-Type-Options": "nosniff",
                "Cache-Control": "private, max-age=31536000, immutable",
            },
        )

    return [Route("/files/{id}/{name:path}", file, methods=["GET"])]


def read_channels(text: str) -> dict[str, Channel]:
    """Read SANDBOX_SLACK_CHANNELS; returns channels by id. RuntimeError where it is malformed."""
    channels = {}
    for part in text.split(","):
        number, _, name = part.strip().removeprefix("-").partition(":")
        if not number or not name:
            raise RuntimeError(f"SANDBOX_SLACK_CHANNELS takes [-]id:name, got {part!r}")
        channels[number] = Channel(number, name, member=not part.strip().startswith("-"))
    return channels


def refuse(request: Request, status: int, message: str | None) -> Response:
    """Answer an error in the Web API's shape, `{"ok": false, "error": …}`."""
    words = {429: "ratelimited", 503: "service_unavailable"}.get(status, "internal_error")
    error = message or words
    more = {}
    if error == "missing_scope":
        needed = "chat:write" if "chat." in request.url.path else "files:write"
        more = {"needed": needed, "provided": "incoming-webhook"}
    response = _not_ok(error, more, status)
    if status == 429:
        response.headers["Retry-After"] = "1"
    return response


def refuse_bytes(_: Request, status: int, message: str | None) -> Response:
    """Answer an error as the upload URL does, in plain text."""
    return PlainTextResponse(message or _phrase(status), status_code=status)


def summarise(channel: Channel, text: str, files: int) -> str:
    """Say in one line what was posted: `#alerts: its first line (2 files)`."""
    first = next((line.strip() for line in text.splitlines() if line.strip()), "")
    count = f"{files} file{'' if files == 1 else 's'}"
    return f"#{channel.name}: {first or 'no text'}" + (f" ({count})" if files else "")


async def _test(slack: Slack, request: Request) -> dict[str, Any]:
    _authorise(slack, request)
    return {
        "url": str(request.base_url),
        "team": "Laptop",
        "user": APP.lower(),
        "team_id": _TEAM,
        "user_id": _USER,
        "bot_id": _BOT,
        "is_enterprise_install": False,
    }


async def _post_message(slack: Slack, request: Request) -> dict[str, Any]:
    _authorise(slack, request, "chat:write")
    given = await _arguments(request)
    channel = _channel(slack, _text(given, "channel"))
    text, blocks = _text(given, "text"), _blocks(given)
    thread = _thread(slack, channel, _text(given, "thread_ts"))
    if not text and not blocks:
        raise Refused("no_text")
    ts = _share(slack, channel, Post(text, thread, blocks=blocks))
    message = {
        "type": "message",
        "subtype": "bot_message",
        "text": text,
        "ts": ts,
        "username": APP,
        "bot_id": _BOT,
        **({"thread_ts": _shown(thread)} if thread else {}),
        **({"blocks": blocks} if blocks else {}),
    }
    return {"channel": channel.id, "ts": ts, "message": message}


async def _upload_url(slack: Slack, request: Request) -> dict[str, Any]:
    _authorise(slack, request, "files:write")
    given = await _arguments(request)
    missing = [field for field in ("filename", "length") if given.get(field) in (None, "")]
    if missing:
        raise _invalid(*(f"missing required field: {field}" for field in missing))
    name, length = _text(given, "filename"), given["length"]
    if isinstance(length, str) and length.isascii() and length.isdigit() and len(length) < 20:
        length = int(length)
    if type(length) is not int or length < 0:
        raise _invalid("must be a number [json-pointer:/length]")
    if length == 0:
        raise Refused("missing_argument")
    if length > _LARGEST:
        raise Refused("file_upload_size_restricted")
    if len(description := _text(given, "alt_txt")) > _LONGEST_DESCRIPTION:
        raise Refused("alt_txt_too_large")
    number, key = f"F{secrets.token_hex(5).upper()}", secrets.token_urlsafe(32)
    slack.database.execute(
        "INSERT INTO files VALUES (?, ?, ?, ?, 'asked')", (number, key, name, length)
    )
    if description:
        slack.database.execute("INSERT INTO descriptions VALUES (?, ?)", (number, description))
    return {"upload_url": f"{request.base_url}upload/v1/{key}", "file_id": number}


async def _upload(slack: Slack, request: Request) -> Response:
    """Take the bytes, raw whatever their Content-Type; again, too, until the completion."""
    found = slack.database.execute(
        "SELECT id, length, state FROM files WHERE key = ?", (request.path_params["key"],)
    ).fetchone()
    if not found:
        return PlainTextResponse("There is no such upload.", status_code=404)
    number, length, state = found
    content = bytearray()
    async for chunk in request.stream():
        content += chunk
        if len(content) > length:
            break
    if state == "completed":
        return PlainTextResponse("The upload is already completed.", status_code=400)
    if len(content) != length:
        return PlainTextResponse(f"{length} bytes were announced.", status_code=400)
    await run_in_threadpool((slack.folder / number).write_bytes, content)
    slack.database.execute("UPDATE files SET state = 'uploaded' WHERE id = ?", (number,))
    return PlainTextResponse(f"OK - {length}")


async def _complete(slack: Slack, request: Request) -> dict[str, Any]:
    """Share uploaded files: one message a channel, whatever their number."""
    _authorise(slack, request, "files:write")
    given = await _arguments(request)
    wanted = _wanted(given)
    if len(wanted) > _MOST:
        raise Refused("internal_error")
    ids = [_text(given, "channel_id"), *_text(given, "channels").split(",")]
    channels = [_channel(slack, number) for number in dict.fromkeys(ids) if number]
    if len(channels) > 100:
        raise Refused("channels_limit_exceeded")
    thread_ts = _text(given, "thread_ts")
    if thread_ts and len(channels) != 1:
        raise _invalid("takes one channel [json-pointer:/thread_ts]")
    thread = _thread(slack, channels[0], thread_ts) if channels else None
    text = _text(given, "initial_comment")
    blocks = [] if text else _blocks(given)  # the comment wins, as documented
    files = [_file(slack, number, title) for number, title in wanted]
    slack.database.executemany(
        "UPDATE files SET state = 'completed' WHERE id = ?", [(file["id"],) for file in files]
    )
    for channel in channels:
        _share(slack, channel, Post(text, thread, files, blocks))
    return {"files": [{"id": file["id"], "title": file["title"]} for file in files]}


async def _retired(slack: Slack, request: Request) -> dict[str, Any]:
    _authorise(slack, request)
    raise Refused("method_deprecated")


async def _unknown(_: Slack, request: Request) -> dict[str, Any]:
    raise Refused("unknown_method", {"req_method": request.path_params["method"]})


def _share(slack: Slack, channel: Channel, post: Post) -> str:
    """Put a message in a channel; returns its ts, never the same twice."""
    (last,) = slack.database.execute("SELECT COALESCE(MAX(ts), 0) FROM messages").fetchone()
    ts = max(int(time.time() * 1e6), last + 1)
    slack.database.execute("INSERT INTO messages VALUES (?, ?, ?)", (ts, channel.id, post.thread))
    slack.inbox.add(
        "slack",
        summarise(channel, post.text, len(post.files)),
        {
            "app": APP,
            "channel": channel.id,
            "channel_name": channel.name,
            "text": post.text,
            "ts": _shown(ts),
            "thread_ts": _shown(post.thread) if post.thread else None,
            "files": post.files,
            **({"blocks": post.blocks} if post.blocks else {}),
        },
    )
    return _shown(ts)


def _file(slack: Slack, number: str, title: str) -> dict[str, Any]:
    found = slack.database.execute(
        "SELECT name, length, state, text FROM files LEFT JOIN descriptions USING (id)"
        " WHERE id = ?",
        (number,),
    ).fetchone()
    if not found:
        raise Refused("file_not_found")
    name, length, state, description = found
    if state != "uploaded":
        raise Refused("file_update_failed")
    return {
        "id": number,
        "title": title or name,
        "name": name,
        "mimetype": _kind(name),
        "size": length,
        "url": f"/files/{number}/{_plain(name)}",
        **({"alt_txt": description} if description else {}),
    }


def _wanted(given: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return (id, title) of each of `files`: a list, or the JSON text of one."""
    files = given.get("files")
    if files in (None, ""):
        raise _invalid("missing required field: files")
    if isinstance(files, str):
        try:
            files = json.loads(files)
        except (ValueError, RecursionError):
            raise _invalid("must be valid json [json-pointer:/files]") from None
    if not isinstance(files, list) or not files:
        raise _invalid("must be a non-empty array [json-pointer:/files]")
    wanted = {}
    for index, file in enumerate(files):
        if not isinstance(file, dict) or not isinstance(file.get("id"), str):
            raise _invalid(f"missing required field: id [json-pointer:/files/{index}]")
        number = _encodable(file["id"])
        if number in wanted:
            raise _invalid(f"must be unique [json-pointer:/files/{index}/id]")
        wanted[number] = _text(file, "title")
    return list(wanted.items())


def _channel(slack: Slack, number: str) -> Channel:
    channel = slack.channels.get(number)
    if not channel:
        raise Refused("channel_not_found")
    if not channel.member:
        raise Refused("not_in_channel")
    return channel


def _thread(slack: Slack, channel: Channel, text: str) -> int | None:
    """Return the ts of the thread's first message, in microseconds; None for no thread."""
    if not text:
        return None
    seconds, _, fraction = text.partition(".")
    digits = seconds + fraction
    if len(fraction) != 6 or not (digits.isascii() and digits.isdigit()) or len(digits) > 18:
        raise Refused("thread_not_found")
    found = slack.database.execute(
        "SELECT ts FROM messages WHERE ts = ? AND channel = ? AND thread IS NULL",
        (int(digits), channel.id),
    ).fetchone()
    if not found:
        raise Refused("thread_not_found")
    return int(found[0])


def _authorise(slack: Slack, request: Request, scope: str | None = None) -> None:
    kind, _, token = request.headers.get("authorization", "").partition(" ")
    if kind.lower() != "bearer" or not token.strip():
        raise Refused("not_authed")
    if not slack.token or not hmac.compare_digest(token.strip().encode(), slack.token.encode()):
        raise Refused("invalid_auth")
    if scope and scope not in slack.scopes:
        raise Refused("missing_scope", {"needed": scope, "provided": ",".join(slack.scopes)})


async def _arguments(request: Request) -> dict[str, Any]:
    """Return a call's arguments: those of its query, then those of its form or JSON body."""
    given: dict[str, Any] = dict(request.query_params)
    body = await request.body()
    if not body:
        return given
    match request.headers.get("content-type", "").partition(";")[0].strip().lower():
        case "application/json":
            try:
                read = json.loads(body.decode())
            except (ValueError, RecursionError):
                raise Refused("invalid_json") from None
            if not isinstance(read, dict):
                raise Refused("json_not_object")
            return given | read
        case "application/x-www-form-urlencoded":
            try:
                return given | dict(parse_qsl(body.decode(), keep_blank_values=True))
            except ValueError:
                raise Refused("invalid_form_data") from None
        case _:
            raise Refused("invalid_post_type")


def _text(given: Mapping[str, Any], field: str) -> str:
    value = given.get(field)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise _invalid(f"must be a string [json-pointer:/{field}]")
    if len(value) > _LONGEST:
        raise Refused("msg_too_long")
    return _encodable(value)


def _blocks(given: Mapping[str, Any]) -> list[Any]:
    blocks = given.get("blocks")
    if blocks in (None, ""):
        return []
    if isinstance(blocks, str):
        try:
            blocks = json.loads(blocks)
        except (ValueError, RecursionError):
            raise Refused("invalid_blocks_format") from None
    if not isinstance(blocks, list) or not all(
        isinstance(block, dict) and isinstance(block.get("type"), str) for block in blocks
    ):
        raise Refused("invalid_blocks")
    try:
        shown = json.dumps(blocks, ensure_ascii=False, allow_nan=False)
    except (ValueError, RecursionError):
        raise Refused("invalid_blocks") from None
    return list(json.loads(_encodable(shown)))


def _invalid(*messages: str) -> Refused:
    return Refused(
        "invalid_arguments",
        {"response_metadata": {"messages": [f"[ERROR] {message}" for message in messages]}},
    )


def _not_ok(error: str, more: Mapping[str, Any] | None = None, status: int = 200) -> Response:
    return JSONResponse({"ok": False, "error": error, **(more or {})}, status_code=status)


def _kind(name: str) -> str:
    return mimetypes.guess_type(name, strict=False)[0] or "application/octet-stream"


def _plain(name: str) -> str:
    """Return a name for a URL's end: for people only, the file is found by its id."""
    letters = (letter if letter.isalnum() or letter in "._-" else "_" for letter in name)
    return quote("".join(letters).lstrip(".") or "file", safe="")


def _shown(ts: int) -> str:
    return f"{ts // 1_000_000}.{ts % 1_000_000:06d}"


def _folder(environ: Mapping[str, str]) -> Path:
    return Path(setting(environ, "SANDBOX_DIR")) / "slack"


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "The upload failed."


def _encodable(text: str) -> str:
    """Replace lone surrogates, which JSON can carry and UTF-8 cannot."""
    return text.encode("utf-8", "replace").decode("utf-8")
