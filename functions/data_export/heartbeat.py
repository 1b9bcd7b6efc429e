"""While a run works, its job's lease and its message's invisibility are renewed.

Both are short. So a run that is killed is soon followed by another.
"""

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Event, Thread

from botocore.exceptions import BotoCoreError, ClientError

from data_export import jobs
from data_export.jobs import Job, Lost

log = logging.getLogger(__name__)


@contextmanager
def beating(job: Job, lease: int, hide: Callable[[], None]) -> Iterator[None]:
    """Renew the job's lease, of so many seconds, three times as often; `hide` renews the message's.

    What fails once is tried again with the next beat. Ends where another run has the job: whatever
    this one writes down next fails, too.
    """
    done = Event()

    def beat() -> None:
        while not done.wait(lease / 3):
            try:
                jobs.note(job, lease_until=int(time.time()) + lease)
                hide()
            except Lost:
                return
            except (ClientError, BotoCoreError) as error:
                log.warning("no heartbeat", extra={"job_id": job.job_id, "reason": str(error)})

    hide()  # until now for as long as the queue hides what it gives out
    thread = Thread(target=beat, name="heartbeat")
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()
