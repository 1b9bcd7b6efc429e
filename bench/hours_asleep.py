"""Hours in which a schedule wants its environment asleep. Pure."""

from datetime import datetime, timedelta

from env_scheduler.schedules import Boundary, Schedule, boundaries, by_time, latest


def asleep(schedule: Schedule, start: datetime, end: datetime) -> float:
    """Return the hours between two times in which the schedule wants its environment asleep.

    For a schedule that only stops: as if people woke it at 9 on each of its days that is no day
    off, which is what most do.
    """
    shown = schedule
    if schedule.start is None:
        wake = "09:00" if schedule.stop != "09:00" else "08:45"
        shown = Schedule(**{**vars(schedule), "start": wake})
    first, last = (moment.astimezone(shown.zone).date() for moment in (start, end))
    marks = sorted(boundaries(shown, first - timedelta(days=2), last), key=by_time)
    inside = [boundary for boundary in marks if start < boundary.at < end]
    steps = [Boundary(start, latest(shown, start).action), *inside]
    ends = [step.at for step in steps[1:]] + [end]
    spans = zip(steps, ends, strict=True)
    spent = sum(((to - step.at) for step, to in spans if step.action == "suspend"), timedelta())
    return spent / timedelta(hours=1)
