"""Post to Slack: a message, or files in a message or a thread, by today's upload in three steps.

https://docs.slack.dev/messaging/working-with-files
"""

import json
import os
from dataclasses import dataclass
from typing import Any

import requests

from common.http import Http, Unavailable, words

_ADVICE = {
    "not_in_channel": "invite the app to the channel: /invite @its-name",
    "channel_not_found": "takes the id of a channel that the app can see, such as C0123456789",
    "is_archived": "the channel is archived: name another one",
    "invalid_auth": "fill the parameter SLACK_BOT_TOKEN with the app's token (xoxb-…)",
    "not_authed": "fill the parameter SLACK_BOT_TOKEN with the app's token (xoxb-…)",
    "token_revoked": "install the app anew and fill the parameter SLACK_BOT_TOKEN",
    "account_inactive": "install the app anew and fill the parameter SLACK_BOT_TOKEN",
}


# Files of one message: 14 pass, 15 are an internal_error (slackapi/python-slack-sdk#1653).
A_MESSAGE = 10
# Characters of a message and of a picture's description.
# https://docs.slack.dev/reference/methods/chat.postMessage
# https://docs.slack.dev/reference/methods/files.getUploadURLExternal
LONGEST, LONGEST_DESCRIPTION = 40_000, 1000


class SlackError(Exception):
    """Slack said no, or could not be reached; the message says what to do about it."""


@dataclass(frozen=True)
class Picture:
    """A PNG with the name of its file, its title, and what it shows in words."""

    name: str
    title: str
    png: bytes
    description: str


class Slack:
    """One app's calls; a text is cut at Slack's limits. Files are uploaded in three steps.

    `upload` (an address for the bytes, then the bytes) may be repeated: a file that is never
    completed is seen by nobody. `complete` makes the message, and is not repeated where Slack may
    have heard it: a second message is worse than a late one. It is tried again only after 429 or
    when no connection came about; after a time-out or a 5xx it fails, and says to look.
    """

    def __init__(self, token: str, *, deadline: float) -> None:
        """Take a bot's token; `SLACK_API_BASE` names another place for the API."""
        self._base = os.environ.get("SLACK_API_BASE", "https://slack.com/api/")
        self._token = token
        self._http = Http("Slack", deadline=deadline)

    def post(self, channel: str, text: str) -> None:
        """Post a message in mrkdwn; tried again where it may have been heard. Raises SlackError.

        https://docs.slack.dev/reference/methods/chat.postMessage
        """
        self._call("chat.postMessage", {"channel": channel, "text": _cut(text, LONGEST)})

    def upload(self, picture: Picture) -> dict[str, str]:
        """Bring one file to Slack; returns what `complete` takes. Raises SlackError."""
        place = self._call(
            "files.getUploadURLExternal",
            {
                "filename": picture.name,
                "length": len(picture.png),
                "alt_txt": _cut(picture.description, LONGEST_DESCRIPTION),
            },
        )
        try:
            answer = self._http.request("POST", place["upload_url"], data=picture.png)
        except Unavailable as error:
            raise SlackError(f"upload of {picture.name}: {_without_query(error)}") from None
        if answer.status_code != requests.codes.ok:
            raise SlackError(f"upload of {picture.name}: {words(answer)}")
        return {"id": place["file_id"], "title": picture.title}

    def complete(self, files: list[dict[str, str]], channel: str, comment: str) -> None:
        """Make a message of the files, or of more than A_MESSAGE a thread below the comment.

        Raises SlackError.
        """
        text = _cut(comment, LONGEST)
        method, place = "files.completeUploadExternal", {"channel_id": channel}
        if len(files) <= A_MESSAGE:
            self._once(method, place | {"initial_comment": text, "files": json.dumps(files)})
            return
        first = self._once("chat.postMessage", {"channel": channel, "text": text})
        place["thread_ts"] = first["ts"]
        for start in range(0, len(files), A_MESSAGE):
            self._once(method, place | {"files": json.dumps(files[start : start + A_MESSAGE])})

    def _once(self, method: str, fields: dict[str, Any]) -> dict[str, Any]:
        try:
            return self._call(method, fields, repeatable=False)
        except _MaybeDone as error:
            raise SlackError(
                f"{error}: the message may have been posted: look before you run it again"
            ) from None

    def _call(
        self, method: str, fields: dict[str, Any], *, repeatable: bool = True
    ) -> dict[str, Any]:
        headers = {"Authorization": f"Bearer {self._token}"}
        try:
            response = self._http.request(
                "POST", self._base + method, repeatable=repeatable, data=fields, headers=headers
            )
        except Unavailable as error:
            kind = SlackError if repeatable or error.unheard else _MaybeDone
            raise kind(str(error)) from None
        try:
            answer = response.json()
        except requests.JSONDecodeError:
            answer = {}
        if answer.get("ok") is not True:
            said = answer.get("error") or words(response)
            advice = _scope(answer) if said == "missing_scope" else _ADVICE.get(said)
            raise SlackError(f"{method}: {said}" + (f" ({advice})" if advice else ""))
        return dict(answer)


class _MaybeDone(SlackError):
    pass


def _scope(answer: dict[str, Any]) -> str:
    needed = answer.get("needed")
    what = f"the scope {needed}" if needed else "the scopes chat:write and files:write"
    has = f" (it has {answer['provided']})" if answer.get("provided") else ""
    return f"give the app {what}{has}, and install it anew"


def _cut(text: str, longest: int) -> str:
    if len(text) <= longest:
        return text
    # At the end of a line, where there is one: no half of a word or of a mark.
    begin = text[: longest - 2]
    return (begin.rpartition("\n")[0] or begin) + "\n…"


def _without_query(error: Exception) -> str:
    # An upload's address is a key to it.
    return str(error).split("?", 1)[0]
