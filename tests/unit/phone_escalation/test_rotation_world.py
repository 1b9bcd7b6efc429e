"""The rotation in a world that is not kind: whatever comes, late, twice or never, it ends well.

Twilio makes a call at once or never; its answer may be lost, and each of its words. Diallers are
generators that stop before each step to the world or to the table: any other may come between, and
any may die there. A dialler lives less long than its claim's lease, as in dialler.py.

Alerts come at any time. Each one that is taken is told to somebody before the acknowledgement
that covers it, or its escalation ends exhausted, and says so; and no phone is dialled while it is
in use.
"""

import random
from dataclasses import dataclass, field, replace

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from phone_escalation import conversation
from phone_escalation import rotation as steps
from phone_escalation.conversation import Heard
from phone_escalation.session import first_to_phone, joins, led_by, takes_more, unused_id
from tests.unit.phone_escalation.samples import MEMBERS, NOW, a_session, an_alert

LIVES = steps.LEASE - 5

STATUS = ["ringing", *["in-progress"] * 4, "busy", "busy", "no-answer", "failed", "canceled"]
DIGITS = ["", "", "1", "1", "2", "3", "9", "hangs up"]
HEARD = ["heard", "heard", "unheard", "a key of before is heard"]
COURSE = st.tuples(*map(st.sampled_from, (STATUS, DIGITS, HEARD)))
PASSES = [1, 1, 1, 5, 5, 20, 20, 35, 35, 60, 200, 4000]
ASKED = ["find", "status", "hang up", "report", "dial", "dial"]
FATES = ["made, unheard", "not made", "refused", "busy line"]
WORDS = 5  # how long the last words take
ALERTS = ["a", "a", "b", "c", "d", "e", "f", "g"]


@dataclass
class Call:
    sid: str
    attempt: int
    member: int
    made_at: int
    status: str = "queued"
    # What the line waits for: the answer to this webhook, or a key where that was a telling.
    waits: Heard | None = None
    telling: tuple[int, int] | None = None  # which batch, which time
    # What its person was told so far.
    told: set = field(default_factory=set)
    left_at: int | None = None  # since when the last words are said

    @property
    def live(self):
        return self.status not in steps.FINAL


class Away(Exception):
    """Twilio gives no answer, or says no."""


class World(RuleBasedStateMachine):
    def __init__(self):
        super().__init__()
        self.now = NOW
        self.session = self.opens("a")
        self.reported = False
        self.past: list = []
        self.calls: list[Call] = []
        self.words: list = []  # what Twilio has said and may deliver, now, later or never
        self.workers: list = []  # (born at, generator)
        self.first = None
        self.fate, self.over = {}, {}

    @property
    def run(self):
        return self.session.rotation

    @run.setter
    def run(self, rotation):
        self.session = replace(self.session, rotation=rotation)

    # What store.py does, of which each change is one write.

    def opens(self, identity):
        rotation = steps.start(MEMBERS[:2], 2, 20, identity, self.now)
        alerts = {identity: an_alert(identity, at=self.now)}
        return a_session(rotation=rotation, alerts=alerts, started_at=self.now)

    @rule(identity=st.sampled_from(ALERTS))
    def an_alert_comes(self, identity):
        same = joins(self.session, identity, self.now)
        if same:
            taken = self.run.taken_by(same)
            recently = taken and self.now - taken.at < self.session.bundle_seconds
            assert recently or (same in self.run.waiting and self.run.state == "calling")
            return
        if takes_more(self.session):
            key = unused_id(self.session, identity)
            self.run = steps.alerted(self.run, key, self.now)
            alert = an_alert(identity, at=self.now)
            self.session = replace(self.session, alerts={key: alert} | self.session.alerts)
            self.reported = self.first = None
            return
        assert [call for call in self.calls if call.live] == []
        # What is over has no more to be done but, perhaps, to be reported.
        for _ in range(2 * steps.REPORTS):
            self.works()
            self.time_passes(steps.PAUSE)
        self.is_well_over()
        new = self.opens(identity)
        first = first_to_phone(self.session, new.rotation, self.now)
        took = self.run.acknowledged_by
        if took and self.now - self.run.ended_at < self.session.bundle_seconds:
            assert first == self.run.attempts[took - 1].member
        else:
            assert first == 0
        self.past.append(self.session)
        self.session = led_by(new, first)
        self.calls, self.words, self.workers, self.over = [], [], [], {}
        self.reported = self.first = None

    # What dialler.py does, step by step.

    def change(self, step, *arguments):
        before = self.run
        self.run = step(before, *arguments, self.now)
        return self.run is not before

    def worker(self):
        copy = self.run
        for action in steps.todo(copy, self.now):
            number = action.attempt
            yield
            try:
                if action.deed == "dial":
                    yield from self.dial(copy, number)
                elif action.deed == "look up":
                    if not (yield from self.adopt(copy, number)):
                        yield
                        self.change(steps.held_up, number, "no call")
                        yield
                        self.change(steps.lost, number)
                elif action.deed == "check":
                    yield from self.check(copy.attempt(number).sid, number)
                elif action.deed == "hang up":
                    self.hang_up(copy.attempt(number).sid)
                    yield
                    self.change(steps.ended, number, "withdrawn")
                elif self.change(steps.reporting):
                    yield
                    self.ask("report")
                    self.reported = True
                    self.run = steps.reported(self.run)
            except Away:
                self.change(steps.held_up, number, "away")

    def dial(self, copy, number):
        if not self.change(steps.claim, number):
            return
        assert self.run.state == "calling"
        yield
        fate = self.fate.pop("dial", "made")
        if fate in ("made", "made, unheard"):
            member = copy.attempt(number).member
            assert [one for one in self.calls if one.live and one.member == member] == []
            call = Call(f"CA{len(self.calls)}", number, member, self.now)
            self.calls.append(call)
        yield
        if fate == "made":
            yield from self.is_calling(number, call.sid)
        elif fate == "refused":
            self.change(steps.ended, number, "failed")
        elif fate == "busy line":
            self.change(steps.put_back, number, "429")
        else:
            yield from self.adopt(copy, number)

    def is_calling(self, number, sid):
        self.change(steps.dialled, number, sid)
        mine = self.run.attempt(number)
        yield
        if mine.sid != sid:
            self.hang_up(sid)

    def adopt(self, copy, number):
        self.ask("find")
        attempt = copy.attempt(number)
        known = {one.sid for one in copy.attempts}
        found = [
            call
            for call in self.calls
            if call.sid not in known
            and call.member == attempt.member
            and call.made_at >= attempt.began_at - 5
        ]
        if not found:
            return False
        call = found[-1]
        status = call.status
        yield
        self.change(steps.found, number, call.sid, status)
        return True

    def check(self, sid, number):
        self.ask("status")
        (status,) = [call.status for call in self.calls if call.sid == sid]
        yield
        if status != "ringing":
            self.change(steps.found, number, sid, status)
        if steps.Action("check", number) in steps.todo(self.run, self.now):
            yield
            self.hang_up(sid)
            yield
            self.change(steps.ended, number, "stuck")

    def ask(self, what):
        if self.fate.pop(what, None):
            raise Away

    def hang_up(self, sid):
        self.ask("hang up")
        for call in self.calls:
            if call.sid == sid and call.live:
                self.end(call, "completed" if call.status == "in-progress" else "canceled")

    # What Twilio and people do.

    def say(self, call, status):
        call.status = status
        self.words.append((call.attempt, call.sid, status))

    def end(self, call, status):
        call.waits = call.telling = None
        self.say(call, status)

    def asks(self, call, batch, telling, digits):
        call.telling = None
        call.waits = Heard(call.attempt, call.sid, telling, digits, batch)
        self.words.append(call.waits)

    def hear(self, word):
        """Deliver a word; the line goes on with the answer, unless it has had one."""
        if not isinstance(word, Heard):
            self.change(steps.status, *word)
            return
        before = self.run
        self.run, answer = conversation.reply(self.run, word, self.now)
        (call,) = [call for call in self.calls if call.sid == word.sid]
        for taken in self.run.taken[len(before.taken) :]:
            assert taken.by == word.number
            assert taken.alert in call.told
        if word.digits == "1" and answer.kind != "nothing":
            # What was told in this batch waits no more.
            told = self.run.attempt(word.number).told[word.batch]
            assert not set(told) & set(self.run.waiting) or before.attempt(word.number).told == ()
        if call.waits is word:
            call.waits = None
            if answer.kind == "tell":
                call.telling = answer.batch, answer.telling
                call.told |= set(self.run.attempt(word.number).told[answer.batch])
            else:
                call.left_at = self.now

    def those(self, *statuses):
        return [call for call in self.calls if call.status in statuses]

    @rule(seconds=st.sampled_from(PASSES))
    def time_passes(self, seconds):
        self.now += seconds
        self.workers = [one for one in self.workers if self.now - one[0] < LIVES]
        for call in self.those("queued", "ringing"):
            if self.now - call.made_at > 20 + 10:
                self.end(call, "no-answer")
        for call in self.those("in-progress"):
            left = call.left_at is not None and self.now - call.left_at >= WORDS
            if left or self.now - call.made_at > 600:
                self.end(call, "completed")

    @precondition(lambda self: steps.todo(self.run, self.now))
    @rule(count=st.integers(1, 2))
    def workers_come(self, count):
        for _ in range(count):
            worker = self.worker()
            next(worker)  # it has its copy now
            self.workers.append((self.now, worker))

    @precondition(lambda self: self.workers)
    @rule(which=st.integers(0, 3), count=st.integers(0, 5))
    def a_worker_goes_on_or_dies(self, which, count):
        worker = self.workers[which % len(self.workers)]
        if not count or any(next(worker[1], "done") == "done" for _ in range(count)):
            self.workers.remove(worker)

    @rule(what=st.sampled_from(ASKED), fate=st.sampled_from(FATES))
    def something_will_go_wrong(self, what, fate):
        self.fate[what] = fate

    @rule(course=st.lists(COURSE, min_size=1, max_size=5))
    def it_goes_on(self, course):
        for status, digits, heard in course:
            self.what_is_next(status, digits)
            if heard == "heard" and self.words:
                self.hear(self.words[-1])
            elif heard != "unheard":
                self.a_key_comes_late(1)

    def what_is_next(self, status, digits):
        """In the usual course a phone rings, somebody answers, or does not, or time passes."""
        talking, ringing = self.those("in-progress"), self.those("queued", "ringing")
        if talking and talking[-1].left_at is not None and digits:
            self.time_passes(WORDS)
        elif talking and talking[-1].left_at is None:
            self.somebody_presses(talking[-1], digits)
        elif ringing:
            self.say(ringing[-1], status)
            if status == "in-progress":
                self.asks(ringing[-1], 0, 0, "")
        elif steps.todo(self.run, self.now):
            self.works()
        else:
            self.time_passes((steps.due_at(self.run) or self.now + 1) - self.now)

    def somebody_presses(self, call, digits):
        if digits == "hangs up" or call.telling is None:  # in vain has the line waited
            self.end(call, "completed")
        else:
            batch, telling = call.telling
            self.asks(call, batch, telling + (digits == ""), digits)

    def a_key_comes_late(self, ago):
        pressed = [word for word in self.words if isinstance(word, Heard) and word.digits == "1"]
        if pressed:
            self.hear(pressed[-min(ago, len(pressed))])

    @precondition(lambda self: self.words)
    @rule(ago=st.integers(1, 9))
    def a_word_comes_late_or_again(self, ago):
        self.hear(self.words[-min(ago, len(self.words))])

    @invariant()
    def one_phone_an_attempt(self):
        live = [call.attempt for call in self.calls if call.live]
        assert len(live) == len(set(live))

    @invariant()
    def every_attempt_has_its_own_call(self):
        whose = {call.sid: call.attempt for call in self.calls}
        assert all(whose[one.sid] == one.number for one in self.run.attempts if one.sid)

    @invariant()
    def what_rings_for_nothing_is_hung_up_at_once(self):
        if self.run.state != "calling":
            ringing = [one for one in self.run.attempts if one.phase == "ringing"]
            assert all(one.due_at <= self.now for one in ringing)

    @invariant()
    def what_is_over_stays_as_it_ended(self):
        for one in self.run.attempts:
            if one.outcome:
                ended = self.over.setdefault(one.number, one)
                same = vars(one) == vars(ended) | {"phase": one.phase, "told": one.told}
                assert same or one.outcome == "acknowledged" != ended.outcome
                assert one.phase == "over" or ended.phase == "leaving"
                self.over[one.number] = one

    @invariant()
    def who_was_first_stays_first(self):
        if self.first is None and self.run.state == "acknowledged":
            self.first = (self.run.acknowledged_by, self.run.ended_at)
        assert self.first in (None, (self.run.acknowledged_by, self.run.ended_at))

    @invariant()
    def members_have_their_turns(self):
        mine = self.run.attempts[self.run.base :]
        assert all(one.outcome for one in self.run.attempts[:-1])
        order = [self.run.first, 1 - self.run.first]
        expected, turns = [order[0]], 1
        for one in mine:
            assert one.member == expected.pop()
            if one.outcome == "busy" and not one.again:
                expected.append(one.member)
            else:
                expected.append(order[turns % 2])
                turns += 1
        assert turns <= 2 * 2 + 1

    @invariant()
    def no_alert_is_lost(self):
        taken = [one.alert for one in self.run.taken]
        assert sorted([*taken, *self.run.waiting]) == sorted(self.session.alerts)
        assert (self.run.state == "acknowledged") == (not self.run.waiting)
        for one in self.run.attempts:
            told = [alert for batch in one.told for alert in batch]
            assert len(told) == len(set(told))
        for one in self.run.taken:
            assert any(one.alert in told for told in self.run.attempt(one.by).told)

    def works(self):
        for _ in self.worker():
            pass

    def teardown(self):
        self.workers, self.fate = [], {}
        if self.run.state == "acknowledged":
            self.works()
            self.now += steps.LEASE
            self.works()
            self.works()
            assert self.those("queued", "ringing") == []
        for _ in range(200):
            for call in self.calls:
                if call.live and call.waits:  # nobody answered it
                    self.end(call, "completed")
                elif call.telling is not None:
                    batch, telling = call.telling
                    self.asks(call, batch, telling + 1, "")
                    self.hear(call.waits)
            self.works()
            if steps.due_at(self.run) is None:
                break
            self.time_passes(60)
        assert steps.due_at(self.run) is None
        assert steps.todo(self.run, self.now + 10**6) == []
        self.is_well_over()
        assert [call for call in self.calls if call.live] == []
        self.all_is_well()

    def is_well_over(self):
        assert steps.due_at(self.run) is None
        assert self.run.state in ("acknowledged", "exhausted")
        # Either it is told, or it is given up after so many tries.
        if self.run.state == "exhausted":
            assert self.reported or self.run.report.tries == steps.REPORTS
        assert all(one.phase == "over" for one in self.run.attempts)

    def all_is_well(self):
        self.one_phone_an_attempt()
        self.every_attempt_has_its_own_call()
        self.what_rings_for_nothing_is_hung_up_at_once()
        self.what_is_over_stays_as_it_ended()
        self.who_was_first_stays_first()
        self.members_have_their_turns()
        self.no_alert_is_lost()

    def something_happens(self, chance):
        """Do what a rule would do, by chance; what usually happens more often."""
        pick = chance.choice
        match chance.randrange(14):
            case 0:
                self.time_passes(pick(PASSES))
            case 1 if steps.todo(self.run, self.now):
                self.workers_come(pick([1, 2]))
            case 2 | 3 | 4 if self.workers:
                self.a_worker_goes_on_or_dies(chance.randrange(4), chance.randrange(6))
            case 5:
                self.something_will_go_wrong(pick(ASKED), pick(FATES))
            case 6 if self.words:
                self.a_word_comes_late_or_again(chance.randrange(1, 10))
            case 7:
                self.an_alert_comes(pick(ALERTS))
            case _:
                self.it_goes_on([(pick(STATUS), pick(DIGITS), pick(HEARD))])
        self.all_is_well()


World.TestCase.settings = settings(max_examples=100, stateful_step_count=50)
TestWorld = World.TestCase


@pytest.mark.parametrize("seed", range(4))
def test_long_walks(seed):
    """Hypothesis finds the smallest way to a fault; these go further than it does."""
    chance = random.Random(seed)
    for _ in range(500):
        world = World()
        for _ in range(60):
            world.something_happens(chance)
        world.teardown()
