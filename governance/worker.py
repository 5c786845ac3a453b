"""The worker: one process of a home that runs queued jobs, one at a time, until it is interrupted.

Beside the jobs it beats: every few seconds it calls what it was given (looking at stored sources) and puts jobs into
the queue again that wait there no longer. A beat that fails is logged and tried again; it never ends the worker. Knows
the queue and the records, and refuses to know what jobs do.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from governance.jobs import TASK_NAME, Run, open_queue, requeue_waiting, run_job, take_up_jobs
from governance.locks import hold
from governance.settings import Settings
from governance.store import Store

RETRY_SECONDS = 30.0
_SHARE_OF_TIME = 10  # a beat that takes a second is made every ten seconds at most: disks of a network are slow
_STOP_SECONDS = 5.0
_logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Beat:
    """What a worker does beside its jobs, and every how many seconds."""

    do: Callable[[], object]
    seconds: float


def worker_lock(settings: Settings) -> Path:
    """Return the lock that the worker of a home holds."""
    return settings.home / "locks" / "worker.lock"


def run_worker(settings: Settings, store: Store, kinds: Mapping[str, Run], *, beat: Beat | None = None) -> None:
    """Run queued jobs, one at a time, until interrupted. Raises Busy where this home already has a worker."""
    queue = open_queue(settings)
    task = queue.task(name=TASK_NAME)(lambda job_id: run_job(store, job_id, kinds))
    with hold(worker_lock(settings), doing="A worker"):
        queue.flush()  # the records say what waits
        for job_id in take_up_jobs(store):
            task(job_id)

        def look_after_queue() -> None:
            for job_id in requeue_waiting(store, older_than_seconds=RETRY_SECONDS):
                task(job_id)

        beats = [Beat(look_after_queue, RETRY_SECONDS / 6), *([beat] if beat else [])]
        with _beating(beats):
            queue.create_consumer(workers=1, worker_type="thread", initial_delay=0.1, max_delay=1.0).run()


@contextmanager
def _beating(beats: list[Beat]) -> Iterator[None]:
    """Let each beat go on in a thread of its own during a block."""
    stop = threading.Event()
    threads = [threading.Thread(target=_keep_beating, args=(beat, stop), daemon=True) for beat in beats]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        stop.set()
        for thread in threads:
            thread.join(_STOP_SECONDS)


def _keep_beating(beat: Beat, stop: threading.Event) -> None:
    pause = 0.0
    while not stop.wait(pause):
        began = time.monotonic()
        try:
            beat.do()
        except Exception:  # a worker outlives whatever is wrong with one source or the records
            _logger.exception("Looking for work failed and is tried again")
        pause = max(beat.seconds, _SHARE_OF_TIME * (time.monotonic() - began))
