"""Twilio's Calls API, as much of it as an escalation needs.

https://www.twilio.com/docs/voice/api/call-resource
"""

import os
import re
from collections.abc import Collection, Iterator, Mapping
from contextlib import suppress
from email.utils import parsedate_to_datetime
from typing import Any

import requests

from common.http import Http, Unavailable, words

# No call lasts longer than this, in seconds: a forgotten handset costs money.
TIME_LIMIT = 600

_NUMBER = re.compile(r"\+?[0-9]{7,15}")

# A call is looked for from so many seconds before it was asked for: clocks differ.
SKEW = 5


class TwilioError(Exception):
    """Twilio said no, or could not be reached, in its own words."""


class Refused(TwilioError):
    """Twilio does not call this number."""


class NotHeard(TwilioError):
    """Twilio surely did nothing; another try may follow."""


class Unknown(TwilioError):
    """Twilio may have done it."""


class Twilio:
    """The API of one account, until a deadline (of time.monotonic)."""

    def __init__(self, sid: str, token: str, *, deadline: float) -> None:
        """Take the account's SID and token; `TWILIO_API_BASE` names another place for the API."""
        base = os.environ.get("TWILIO_API_BASE", "https://api.twilio.com")
        self._calls = f"{base}/2010-04-01/Accounts/{sid}/Calls"
        self._auth = (sid, token)
        self._http = Http("Twilio", deadline=deadline, hidden=sid)

    def call(self, to: str, *, caller: str, timeout: int, url: str, status_callback: str) -> str:
        """Call a number and return the call's SID. Numbers are in E.164, `timeout` in seconds.

        Not repeated where Twilio may have heard it: it knows no key that makes two requests one.
        Raises Refused for this number, NotHeard, or Unknown.
        """
        fields = {
            "To": to,
            "From": caller,
            "Timeout": timeout,
            "TimeLimit": TIME_LIMIT,
            "Url": url,
            "Method": "POST",
            "StatusCallback": status_callback,
            "StatusCallbackMethod": "POST",
            "StatusCallbackEvent": ["ringing", "answered", "completed"],
        }
        answer = self._answer("POST", f"{self._calls}.json", repeatable=False, data=fields)
        return str(answer["sid"])

    def find(
        self, to: str, *, caller: str, since: int, known: Collection[str]
    ) -> Iterator[tuple[str, str]]:
        """Look for calls made since an epoch second; give their SIDs and status, newest first.

        `known` are the SIDs of other attempts. Raises TwilioError.
        """
        # Newest first. Not asked for by StartTime, which a call that is still queued has not got.
        query = {"To": to, "From": caller, "PageSize": 50}
        calls = self._answer("GET", f"{self._calls}.json", params=query)["calls"]
        for call in calls:
            made = call["date_created"] and parsedate_to_datetime(call["date_created"])
            if call["sid"] not in known and (not made or made.timestamp() >= since - SKEW):
                yield str(call["sid"]), str(call["status"])

    def status(self, sid: str) -> str:
        """Return the status of a call. Raises TwilioError."""
        return str(self._answer("GET", f"{self._calls}/{sid}.json")["status"])

    def withdraw(self, sid: str) -> None:
        """End a call that nobody has answered; another one goes on. Raises TwilioError."""
        self._end(sid, "canceled")

    def hang_up(self, sid: str) -> None:
        """End a call, whatever it is doing; one that is over is no error. Raises TwilioError."""
        self._end(sid, "completed")

    def _end(self, sid: str, status: str) -> None:
        with suppress(Refused):
            self._answer("POST", f"{self._calls}/{sid}.json", data={"Status": status})

    def _answer(self, method: str, url: str, **fields: Any) -> Mapping[str, Any]:
        try:
            answer = self._http.request(method, url, auth=self._auth, **fields)
        except Unavailable as error:
            raise (NotHeard if error.unheard else Unknown)(str(error)) from None
        if answer.status_code == requests.codes.bad_request:
            raise Refused(_words(answer))
        if answer.status_code == requests.codes.request_timeout:
            raise Unknown(_words(answer))
        if not answer.ok:
            raise NotHeard(_words(answer))
        found: Mapping[str, Any] = answer.json()
        return found


def _words(answer: requests.Response) -> str:
    """Return Twilio's own words: `{"code", "message", …}`."""
    try:
        said = answer.json()
        # Twilio repeats the number, which is a person's.
        message = _NUMBER.sub("…", str(said["message"]))
        return f"Twilio: HTTP {answer.status_code} {said['code']} {message}"
    except (ValueError, KeyError, TypeError):
        return f"Twilio: {words(answer)}"
