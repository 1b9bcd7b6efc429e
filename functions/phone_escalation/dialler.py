"""Do in the world what a session's rotation says is to be done: dial, look up, hang up, report.

Whoever comes may do it, twice or at once: a dial is claimed first, and what became of one that
nobody heard of again is looked up at Twilio before anybody is dialled anew.
"""

import logging
import os
import time
from collections.abc import Callable
from time import monotonic
from typing import Any
from zoneinfo import ZoneInfo

from common import cloudwatch, parameters
from common.slack import Slack
from phone_escalation import addresses, rotation, store, words
from phone_escalation.rotation import Action, Attempt, Language, Rotation
from phone_escalation.session import Session
from phone_escalation.twilio import NotHeard, Refused, Twilio, Unknown

# Twilio is spoken with for so long, in seconds: less than a claim's lease.
SPOKEN = 20

log = logging.getLogger(__name__)

Step = Callable[[Rotation, int], Rotation]


def suites_language() -> Language:
    """Return the language of what the suite's channel is told, and of groups without members."""
    return "en" if os.environ.get("SLACK_LANGUAGE") == "en" else "ja"


def look_after(token: str, context: Any) -> list[str]:
    """Do what is to be done for a session now; return that in words.

    Raises the first error, the rest being done. What a run leaves is found by the next.
    """
    now = int(time.time())
    session = store.load(token, now)
    if session is None:
        return []
    done: list[str] = []
    errors: list[Exception] = []
    actions = rotation.todo(session.rotation, now)
    if not actions:
        return []
    hand = _Hand(session, context)
    for action in actions:
        said = f"{action.deed} {action.attempt or ''}".strip()
        try:
            hand.act(action)
        except Exception as error:
            log.exception("could not %s", said, extra={"group": session.group_id})
            errors.append(error)
        else:
            done.append(said)
    if errors:
        raise errors[0]
    return done


class _Hand:
    def __init__(self, session: Session, context: Any) -> None:
        self._session = session
        left = context.get_remaining_time_in_millis() / 1000 - 3
        self._deadline = monotonic() + min(left, SPOKEN)

    def act(self, action: Action) -> None:
        if action.deed == "report":
            self._report()
            return
        if action.deed == "warn":
            self._warn()
            return
        attempt = self._session.rotation.attempts[action.attempt - 1]
        deeds = {
            "dial": self._dial,
            "look up": self._look_up,
            "check": self._check,
            "hang up": self._hang_up,
        }
        try:
            deeds[action.deed](attempt)
        except Exception as error:
            said = str(error)
            self._change(lambda run, now: rotation.held_up(run, attempt.number, said, now))
            raise

    @property
    def _twilio(self) -> Twilio:
        sid, token = _settings("TWILIO_ACCOUNT_SID", "TWILIO_AUTH_TOKEN")
        return Twilio(sid, token, deadline=self._deadline)

    def _change(self, step: Step) -> tuple[Session, Session] | None:
        # One now for the step and the store: what is due at once is marked as that.
        now = int(time.time())
        return store.change(self._session.token, now, lambda run: step(run, now))

    def _dial(self, attempt: Attempt) -> None:
        number, token = attempt.number, self._session.token
        twilio = self._twilio
        claimed = self._change(lambda run, now: rotation.claim(run, number, now))
        if claimed is None or claimed[0] is claimed[1]:
            return
        group = self._session.group_id
        try:
            sid = twilio.call(
                self._number(number),
                caller=self._session.caller,
                timeout=self._session.rotation.ring_timeout,
                url=addresses.of(group, number, token, "0"),
                status_callback=addresses.of(group, number, token, addresses.STATUS),
            )
        except Refused as error:
            said = str(error)
            self._change(lambda run, now: rotation.ended(run, number, "failed", now, said))
            log.warning("not dialled: %s", said, extra={"group": group, "attempt": number})
        except NotHeard as error:
            said = str(error)
            self._change(lambda run, now: rotation.put_back(run, number, said, now))
            raise
        except Unknown as error:
            log.warning("perhaps dialled: %s", error, extra={"group": group, "attempt": number})
            self._adopt(twilio, attempt)
        else:
            log.info("dialled", extra={"group": group, "attempt": number, "call": sid})
            store.own(sid, self._session)
            self._is_calling(twilio, number, sid)

    def _is_calling(self, twilio: Twilio, number: int, sid: str) -> None:
        changed = self._change(lambda run, now: rotation.dialled(run, number, sid, now))
        mine = changed and changed[1].rotation.attempts[number - 1]
        if not mine or mine.sid != sid:
            # Another call of this attempt was found meanwhile: one phone an attempt.
            twilio.hang_up(sid)

    def _adopt(self, twilio: Twilio, attempt: Attempt) -> bool:
        """Look for the call of an attempt whose dial got no answer, and make it the attempt's.

        Where the attempt has one, or is over, by now, what was found may be another one's: no harm
        is done to it.
        """
        run = self._session.rotation
        calls = twilio.find(
            self._number(attempt.number),
            caller=self._session.caller,
            since=attempt.began_at,
            known={one.sid for one in run.attempts if one.sid},
        )
        # Another escalation may phone the same person.
        found = next((call for call in calls if store.own(call[0], self._session)), None)
        if found is None:
            return False
        sid, status = found
        self._change(lambda run, now: rotation.found(run, attempt.number, sid, status, now))
        return True

    def _look_up(self, attempt: Attempt) -> None:
        if not self._adopt(self._twilio, attempt):
            said = "Twilio answers, but makes no call"
            self._change(lambda run, now: rotation.held_up(run, attempt.number, said, now))
            self._change(lambda run, now: rotation.lost(run, attempt.number, now))

    def _check(self, attempt: Attempt) -> None:
        """Ask Twilio what became of a call of which no last word came."""
        sid = attempt.sid or ""
        status = self._twilio.status(sid)
        if status == "queued":
            # Twilio makes one call a second, unless it is asked to make more.
            self._change(lambda run, now: rotation.queued(run, attempt.number, now))
        # What still rings has had its time: only a webhook says that it begins to.
        said = "" if status == "ringing" else status
        told = self._change(lambda run, now: rotation.found(run, attempt.number, sid, said, now))
        still = told and rotation.todo(told[1].rotation, int(time.time()))
        if still and Action("check", attempt.number) in still:
            self._twilio.hang_up(sid)
            self._change(lambda run, now: rotation.ended(run, attempt.number, "stuck", now, status))

    def _hang_up(self, attempt: Attempt) -> None:
        # Who has just picked up hears who was first; last words have had their time.
        twilio = self._twilio
        end = twilio.hang_up if attempt.phase == "leaving" else twilio.withdraw
        end(attempt.sid or "")
        self._change(lambda run, now: rotation.ended(run, attempt.number, "withdrawn", now))

    def _report(self) -> None:
        """Say that nobody could be reached: in the log, as a metric, and in Slack."""
        claimed = self._change(rotation.reporting)
        if claimed is None or claimed[0] is claimed[1]:
            return
        session = claimed[1]
        run = session.rotation
        if run.report.tries == 1:
            log.error(
                "nobody acknowledged",
                extra={
                    "group": session.group_id,
                    "alerts": [session.alerts[alert].message_id for alert in run.waiting],
                    "attempts": len(run.attempts),
                },
            )
        try:
            if not run.counted:
                self._count("PhoneEscalationExhausted")
                self._change(lambda run, _: rotation.counted(run))
        except Exception:
            if not self._channel:
                raise
            log.exception("not counted", extra={"group": session.group_id})
        zone = ZoneInfo(os.environ["TIMEZONE"])
        self._post(words.exhausted(session, zone, suites_language()))
        self._change(lambda run, _: rotation.reported(run))

    def _warn(self) -> None:
        """Say what the operators' tables lack, or say twice: as a metric, and in Slack."""
        claimed = self._change(rotation.warning)
        if claimed is None or claimed[0] is claimed[1]:
            return
        session = claimed[1]
        if session.rotation.warning.tries == 1:
            self._count("PhoneRosterProblem")
        self._post(words.warning(session, suites_language()))
        self._change(lambda run, _: rotation.warned(run))

    @property
    def _channel(self) -> str:
        """The group's Slack channel, else the suite's; empty where there is none."""
        return self._session.slack_channel or os.environ.get("SLACK_CHANNEL", "")

    def _post(self, text: str) -> None:
        if self._channel:
            (token,) = _settings("SLACK_BOT_TOKEN")
            Slack(token, deadline=self._deadline).post(self._channel, text)

    def _count(self, metric: str) -> None:
        cloudwatch.count(metric, {"Group": self._session.group_id})

    def _number(self, attempt: int) -> str:
        return self._session.rotation.member_of(attempt).number


def _settings(*names: str) -> list[str]:
    found = parameters.remembered(parameters.path(None, None), names)
    return [found[name] for name in names]
