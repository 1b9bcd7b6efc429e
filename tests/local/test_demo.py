"""What the demo takes for the schedule's own doing."""

from datetime import UTC, datetime, timedelta

import pytest

import demo
import lifecycle

OURS = range(5, 7)


@pytest.mark.parametrize(
    ("started", "posts", "found"),
    [
        pytest.param(-70, {4: -69}, -69, id="before the demo began"),
        pytest.param(-5, {4: -65, 5: -4, 7: -3}, -3, id="beside our own"),
        pytest.param(-5, {4: -65, 5: -4}, None, id="started, and not there yet"),
        pytest.param(-5, {4: -6}, -6, id="noted down when it had posted"),
        pytest.param(-70, {4: -20}, None, id="by hand, much later"),
        pytest.param(-600, {4: -599}, None, id="no more"),
        pytest.param(None, {4: -1}, None, id="never"),
    ],
)
def test_it_was_started_by_the_aws_and_is_no_call_of_ours(started, posts, found, monkeypatch):
    now = datetime.now(UTC)

    def at(seconds):
        return None if seconds is None else now + timedelta(seconds=seconds)

    log = {demo.SCHEDULED: at(started)} if started else {}
    items = [{"id": number, "at": at(seconds)} for number, seconds in posts.items()]
    monkeypatch.setattr(lifecycle, "started_by_schedules", lambda _: log)
    monkeypatch.setattr(demo, "inbox", lambda _: items)
    assert demo.posted_by_itself(None, OURS) == at(found)
