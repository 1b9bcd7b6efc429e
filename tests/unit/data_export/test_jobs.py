from concurrent.futures import ThreadPoolExecutor
from itertools import count

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    precondition,
    rule,
    run_state_machine_as_test,
)

from data_export import jobs
from tests.unit.data_export.conftest import NOW, asked

LEASE = 10
WEEK = 7 * 86400


def claimed(job_id="job-1", now=NOW):
    return jobs.claim(job_id, asked(job_id=job_id).as_item(), now, LEASE)


def known(job_id="job-1"):
    return jobs.load(job_id)


def test_a_job_begins(table):
    job = claimed()
    assert known() == job
    assert (job.state, job.mail, len(job.token)) == ("running", None, 43)
    assert (job.lease_until, job.created_at) == (NOW + LEASE, "2026-01-15T15:00:00+00:00")
    assert job.token not in repr(job)


def test_a_job_that_is_in_hands(table):
    job = claimed()
    for request in (asked().as_item(), None):
        with pytest.raises(jobs.Busy) as busy:
            jobs.claim("job-1", request, NOW + LEASE, LEASE)
        assert busy.value.job == job
    assert known() == job


@pytest.mark.parametrize("again", [True, False], ids=["request", "continue"])
def test_a_job_that_was_let_go_of_goes_on(table, again):
    first = jobs.note(claimed(), parts=3, position="'x'")
    second = jobs.claim("job-1", asked().as_item() if again else None, NOW + LEASE + 1, LEASE)
    assert (second.parts, second.position, second.token) == (3, "'x'", first.token)
    assert second.owner != first.owner
    for write in (
        lambda: jobs.note(first, parts=4),
        lambda: jobs.finish(first, NOW, 7),
        lambda: jobs.fail(first, NOW, "too_slow", ""),
    ):
        with pytest.raises(jobs.Lost):
            write()
    assert known() == second
    assert jobs.note(second, parts=4).parts == 4


def test_a_job_that_there_is_not(table):
    with pytest.raises(jobs.NoJob):
        jobs.claim("job-1", None, NOW, LEASE)
    assert known() is None
    assert jobs.take_mail("job-1", NOW, LEASE) is None
    assert jobs.give_up("job-1", None, NOW, "gave_up", "") is None
    assert known() is None


def test_the_end_of_a_job(table):
    job = jobs.finish(claimed(), NOW, 7)
    assert (job.state, job.mail) == ("done", "due")
    assert (job.link_until, job.expires_at) == (NOW + WEEK, NOW + WEEK + jobs.KEPT)
    assert jobs.claim("job-1", asked().as_item(), NOW + 99, LEASE) == job
    with pytest.raises(jobs.Lost):
        jobs.fail(job, NOW, "too_slow", "")
    assert jobs.give_up("job-1", asked().as_item(), NOW, "gave_up", "") is None
    assert known() == job


def test_a_failure(table):
    job = jobs.fail(claimed(), NOW, "too_slow", "300 s")
    assert (job.state, job.mail) == ("failed", "due")
    assert job.reason == {"code": "too_slow", "detail": "300 s"}
    assert jobs.claim("job-1", None, NOW + 99, LEASE) == job


def test_a_job_is_given_up_when_nobody_has_it(table):
    job = claimed()
    with pytest.raises(jobs.Busy):
        jobs.give_up("job-1", None, NOW + LEASE, "gave_up", "")
    assert jobs.give_up("job-1", None, NOW + LEASE + 1, "gave_up", "").mail == "due"
    with pytest.raises(jobs.Lost):
        jobs.finish(job, NOW, 7)


def test_a_mail_goes_out_again_when_it_is_asked_for(table):
    job = jobs.take_mail(jobs.finish(claimed(), NOW, 7).job_id, NOW, LEASE)
    assert jobs.take_mail("job-1", NOW, LEASE, again=True) is None
    jobs.mailed(job, "refused")
    assert jobs.take_mail("job-1", NOW, LEASE) is None
    again = jobs.take_mail("job-1", NOW + 1, LEASE, again=True)
    jobs.mailed(again, "sent", "m-2")
    assert (known().mail, known().message_id) == ("sent", "m-2")


def test_of_many_at_once_one_has_the_job_and_one_has_the_mail(table):
    def claim(_):
        try:
            return claimed()
        except jobs.Busy:
            return None

    with ThreadPoolExecutor(8) as threads:
        (job,) = filter(None, threads.map(claim, range(8)))
        jobs.finish(job, NOW, 7)
        takes = threads.map(lambda _: jobs.take_mail("job-1", NOW, LEASE), range(8))
        assert len([*filter(None, takes)]) == 1


class World(RuleBasedStateMachine):
    """Runs and mails that come, go on, are late and die at any moment: one file, one mail.

    A run acts as long as it thinks that it has the job, even when that is no longer so.
    """

    number = count()

    def __init__(self):
        super().__init__()
        self.job_id = f"job-{next(self.number)}"
        self.now = NOW
        self.runs, self.mails = [], []  # who has, or had, the job and the mail
        self.owner, self.leased = None, 0
        self.ends, self.sent, self.noted, self.lost = 0, 0, 0, 0
        self.sender, self.sending = None, 0
        self.token = None

    def found(self):
        return jobs.load(self.job_id)

    @rule(seconds=st.sampled_from([0, 1, LEASE - 1, LEASE, LEASE + 1, 100]))
    def time_passes(self, seconds):
        self.now += seconds

    @rule(request=st.booleans())
    def a_message_comes(self, request):
        asks = asked(job_id=self.job_id).as_item() if request else None
        try:
            job = jobs.claim(self.job_id, asks, self.now, LEASE)
        except jobs.NoJob:
            assert self.token is None
            assert not request
            return
        except jobs.Busy:
            assert self.leased >= self.now
            return
        assert self.token in (None, job.token)
        self.token = job.token
        if job.state != "running":
            assert self.ends == 1
            return
        assert self.ends == 0
        assert self.owner is None or self.leased < self.now
        self.owner, self.leased = job.owner, job.lease_until
        self.runs.append(job)

    def write(self, job, act):
        """Let a run write: it may, as long as nobody has taken over."""
        try:
            act()
        except jobs.Lost:
            assert self.ends or job.owner != self.owner
            return False
        assert not self.ends
        assert job.owner == self.owner
        return True

    @precondition(lambda self: self.runs)
    @rule(data=st.data(), act=st.sampled_from(["beat", "let go", "done", "failed", "dies"]))
    def a_run_goes_on(self, data, act):
        job = data.draw(st.sampled_from(self.runs))
        if act in ("beat", "let go"):
            until = self.now + LEASE if act == "beat" else 0
            if self.write(job, lambda: jobs.note(job, lease_until=until)):
                self.leased = until
        elif act == "done":
            self.ends += self.write(job, lambda: jobs.finish(job, self.now, 7))
        elif act == "failed":
            self.ends += self.write(job, lambda: jobs.fail(job, self.now, "too_slow", ""))
        else:
            self.runs.remove(job)

    @rule(request=st.booleans())
    def a_message_came_too_often(self, request):
        asks = asked(job_id=self.job_id).as_item() if request else None
        try:
            job = jobs.give_up(self.job_id, asks, self.now, "gave_up", "")
        except jobs.Busy as busy:
            assert busy.job.lease_until >= self.now
            return
        if job:
            self.ends += 1
            assert self.ends == 1
            self.token = self.token or job.token
        else:
            assert self.ends == 1 or not request

    @precondition(lambda self: self.token)
    @rule(lease=st.sampled_from([LEASE, 3 * LEASE]))
    def a_mail_is_due(self, lease):
        job = jobs.take_mail(self.job_id, self.now, lease)
        if job is None:
            assert not self.ends or self.noted or (self.sender and self.sending > self.now)
            return
        assert self.ends == 1
        assert not self.noted
        assert self.sender is None or self.sending <= self.now
        self.sender, self.sending = job, self.now + lease
        self.mails.append(job)

    @precondition(lambda self: self.mails)
    @rule(data=st.data(), act=st.sampled_from(["sent", "refused", "left", "dies", "dies late"]))
    def a_mail_goes_on(self, data, act):
        job = data.draw(st.sampled_from(self.mails))
        self.mails.remove(job)
        # The function ends before its lease does.
        if act == "dies" or self.sending <= self.now or job is not self.sender:
            return
        if act == "left":
            jobs.leave_mail(job, "busy")
            self.sender = None
            return
        self.sent += 1
        if act == "dies late":
            self.lost += 1
            return
        jobs.mailed(job, act, "message")
        self.noted += 1

    def teardown(self):
        """Once all is quiet, one more message and one more record bring it to its end."""
        if self.token is None:
            return
        self.now += 1000
        self.a_message_comes(request=False)
        if not self.ends:
            self.ends += self.write(self.runs[-1], lambda: jobs.finish(self.runs[-1], self.now, 7))
        if job := jobs.take_mail(self.job_id, self.now, LEASE):
            jobs.mailed(job, "sent", "message")
            self.sent += 1
            self.noted += 1
        assert (self.ends, self.noted) == (1, 1)
        assert self.sent == 1 + self.lost
        assert self.found().token == self.token
        assert jobs.take_mail(self.job_id, self.now + 1000, LEASE) is None


@pytest.mark.hypothesis
def test_one_file_and_one_mail_whatever_comes(table):
    run_state_machine_as_test(
        World,
        settings=settings(
            max_examples=50,
            stateful_step_count=25,
            suppress_health_check=list(HealthCheck),
        ),
    )


@pytest.mark.parametrize("late", ["mailed", "leave_mail"])
def test_who_comes_too_late_changes_nothing(table, late):
    jobs.finish(claimed(), NOW, 7)
    first = jobs.take_mail("job-1", NOW, LEASE)
    assert jobs.take_mail("job-1", NOW + LEASE - 1, LEASE) is None
    second = jobs.take_mail("job-1", NOW + LEASE, LEASE)
    if late == "mailed":
        jobs.mailed(first, "refused")
    else:
        jobs.leave_mail(first, "busy")
    assert known() == second
    jobs.mailed(second, "sent", "message-2")
    assert (known().mail, known().message_id) == ("sent", "message-2")
