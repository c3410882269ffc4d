"""Commits checkpoints in a separate thread, so that a step never waits for an upload.

One checkpoint uploads and at most one waits. A third blocks the trainer, with a message, unless the
trainer is about to end: then it joins the queue, and `drain` tries all of them. After the grace
period the trainer ends even during an upload; `is_uploading` reports one, since Python would wait
for boto3's threads before it exits.
Temporary errors are retried with growing pauses; others are reported at once, and the local copy
stays. Permissions may return, so one refused checkpoint does not end the run. MOST_REFUSALS in a
row do: you would pay for training whose checkpoints are lost.
"""

import threading
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path

from fintts_store.checkpoints.commit import CheckpointFacts, Committer
from fintts_store.checkpoints.manifest import Manifest
from fintts_store.errors import (
    Fenced,
    KeyExpired,
    OldCheckpointsStay,
    StoreDenied,
    StoreError,
    StoreSlow,
)

FIRST_PAUSE_SECONDS = 1.0
LONGEST_PAUSE_SECONDS = 60.0
LOOK_UP_SECONDS = 0.2
"""How often a blocked `submit` checks whether the trainer must end"""
DRAINING_PAUSE_SECONDS = 5.0
"""How often to retry while a caller waits for the last uploads"""
MOST_REFUSALS = 3
"""refused checkpoints in a row that end the run"""
THREAD_NAME = "uploader"

Checkpoint = tuple[Path, CheckpointFacts]


def is_uploading() -> bool:
    """Whether an uploader of this process is still working, or was never closed."""
    return any(thread.name == THREAD_NAME for thread in threading.enumerate())


class Uploader:
    """Commits what is submitted, in order.

    The uploader's thread calls `before_commit` before each attempt, which fails with it;
    `on_commit` after each commit; and `on_trouble` with each error that does not end training.
    A repeated rotation error with the same reason, or a further waiting save in a row, is reported
    once. The submitting thread reports a waiting save.
    """

    def __init__(
        self,
        committer: Committer,
        before_commit: Callable[[], None],
        on_commit: Callable[[Manifest], None],
        on_trouble: Callable[[StoreError], None],
        *,
        first_pause_seconds: float = FIRST_PAUSE_SECONDS,
        draining_pause_seconds: float = DRAINING_PAUSE_SECONDS,
        now_seconds: Callable[[], float] = time.monotonic,
    ) -> None:
        self._committer, self._before_commit = committer, before_commit
        self._on_commit, self._on_trouble = on_commit, on_trouble
        self._first_pause_seconds = first_pause_seconds
        self._draining_pause_seconds = draining_pause_seconds
        self._now_seconds = now_seconds
        self._changed = threading.Condition()
        self._waiting: deque[Checkpoint] = deque()
        self._busy = False
        self._closed = False
        self._longest_pause_seconds = LONGEST_PAUSE_SECONDS
        self._fatal: BaseException | None = None
        self.trouble: StoreError | None = None
        """why the last checkpoint is not committed; None if it is"""
        self.slow: StoreSlow | None = None
        """why the last save had to wait; None if it did not"""
        self._refusals = 0
        self._said_of_rotation: str | None = None
        self._thread = threading.Thread(target=self._work, name=THREAD_NAME, daemon=True)
        self._thread.start()

    def submit(
        self, directory: Path, facts: CheckpointFacts, must_stop_waiting: Callable[[], bool]
    ) -> None:
        """Queues a finished folder; blocks only while another one is waiting.

        Args:
            must_stop_waiting: ends the wait when it becomes true; the folder is queued anyway.

        Raises:
            Fenced: a newer claim has taken the run over.
            StoreDenied: the key has expired, so this process can commit nothing more; or
                MOST_REFUSALS checkpoints in a row were refused.
        """
        with self._changed:
            self._tell_of_waiting()
            while self._waiting and self._fatal is None and not must_stop_waiting():
                self._changed.wait(LOOK_UP_SECONDS)
            self._raise_fatal()
            self._waiting.append((directory, facts))
            self._changed.notify_all()

    def _tell_of_waiting(self) -> None:
        if not self._waiting or self._fatal is not None:
            self.slow = None
        elif self.slow is None:
            self.slow = StoreSlow(
                "training waits because checkpoints are made faster than the store accepts them",
                "raise checkpoints.every or use a faster store to save that time",
            )
            self._on_trouble(self.slow)

    def check(self) -> None:
        """Raises the error that ended the uploader, such as Fenced; returns while it works."""
        with self._changed:
            self._raise_fatal()

    def drain(self, timeout_seconds: float) -> bool:
        """Waits until all is committed, up to a limit; returns whether it is.

        Raises:
            Fenced: a newer claim has taken the run over.
            StoreDenied: as in `submit`.
        """
        with self._changed:
            self._longest_pause_seconds = self._draining_pause_seconds
            self._changed.notify_all()
            self._changed.wait_for(lambda: self._idle or self._fatal is not None, timeout_seconds)
            self._longest_pause_seconds = LONGEST_PAUSE_SECONDS
            self._raise_fatal()
            return self._idle and self.trouble is None

    def close(self, timeout_seconds: float = LONGEST_PAUSE_SECONDS) -> None:
        """Ends the thread after the current attempt, waiting up to a limit; uncommitted checkpoints
        stay on the disk."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        self._thread.join(timeout_seconds)

    @property
    def behind(self) -> int:
        """The number of checkpoints not committed yet."""
        with self._changed:
            return len(self._waiting) + self._busy

    @property
    def _idle(self) -> bool:
        return not self._waiting and not self._busy

    def _raise_fatal(self) -> None:
        if self._fatal is not None:
            raise self._fatal

    def _work(self) -> None:
        try:
            while (checkpoint := self._take()) is not None:
                self._commit(checkpoint)
                with self._changed:
                    self._busy = False
                    self._changed.notify_all()
        except BaseException as error:  # `check` raises it in the trainer's thread
            with self._changed:
                self._fatal = error
                self._changed.notify_all()

    def _take(self) -> Checkpoint | None:
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._closed)
            if self._closed:
                return None
            self._busy = True
            self._changed.notify_all()
            return self._waiting.popleft()

    def _commit(self, checkpoint: Checkpoint) -> None:
        pause_seconds = self._first_pause_seconds
        while True:
            try:
                self._before_commit()
                manifest = self._committer.commit(*checkpoint)
            except (Fenced, KeyExpired):  # nothing more can be saved: continuing would only cost
                raise
            except StoreError as error:
                self._say(error)
                self._count(error)
                if not error.passes_by_itself or self._pause(pause_seconds):
                    return
                pause_seconds = min(2 * pause_seconds, LONGEST_PAUSE_SECONDS)
            else:
                self.trouble, self._refusals = None, 0
                self._on_commit(manifest)
                self._rotate()
                return

    def _count(self, error: StoreError) -> None:
        """Raises the error after too many refused checkpoints in a row."""
        if not isinstance(error, StoreDenied):
            return
        self._refusals += 1
        if self._refusals == MOST_REFUSALS:
            raise error

    def _rotate(self) -> None:
        try:
            self._committer.rotate()
        except StoreError as error:  # too many checkpoints stay, which does not end a run
            if error.message != self._said_of_rotation:
                sentence = f"old checkpoints stay in the store: {error.message}"
                self._on_trouble(OldCheckpointsStay(sentence, error.hint))
            self._said_of_rotation = error.message
        else:
            self._said_of_rotation = None

    def _say(self, error: StoreError) -> None:
        self.trouble = error
        self._on_trouble(error)

    def _pause(self, seconds: float) -> bool:
        """Waits before the next attempt; returns whether the uploader was closed."""
        began = self._now_seconds()
        with self._changed:
            while not self._closed:
                # Checked each time: a drain shortens a pause that has started.
                end = began + min(seconds, self._longest_pause_seconds)
                if not self._changed.wait(max(0.0, end - self._now_seconds())):
                    break
            return self._closed
