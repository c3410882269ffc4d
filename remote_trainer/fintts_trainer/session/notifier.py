"""Sends notifications in threads of their own: a URL that hangs delays neither run nor others."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from fintts_inputs.notify.post import NotDelivered, post
from fintts_inputs.notify.urls import shown
from fintts_trainer.session.background import BackgroundWorker

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from fintts_inputs.notify.post import Notification

MOST_WAITING = 32
"""notifications that wait for one URL; later ones are dropped"""
AT_END_SECONDS = 10.0
"""how long the end of a run waits for its last notifications"""
BEFORE_EXIT_SECONDS = 3.0
"""the same for a process that is about to lose its instance, or has failed"""


class Notifier:
    """Sends each notification to every URL. Trouble is logged once for each URL."""

    def __init__(self, urls: Iterable[str], log: Callable[[str], None]) -> None:
        self._channels = [_Channel(url, log) for url in urls]

    def __bool__(self) -> bool:
        """Whether there is a URL at all."""
        return bool(self._channels)

    def send(self, notification: Notification) -> None:
        """Queues it and returns at once."""
        for channel in self._channels:
            channel.send(notification)

    def close(self, seconds: float = AT_END_SECONDS) -> None:
        """Waits until everything is sent, no longer than this; what is left is given up."""
        end = time.monotonic() + seconds
        for channel in self._channels:
            channel.ask_to_end()
        for channel in self._channels:
            channel.wait(end)


class _Channel:
    """One URL, with its worker."""

    def __init__(self, url: str, log: Callable[[str], None]) -> None:
        self._url, self._log = url, log
        self._is_reported = False
        self._worker: BackgroundWorker[Notification] = BackgroundWorker(
            "notifications", MOST_WAITING, self._work
        )
        self._worker.start()

    def send(self, notification: Notification) -> None:
        if not self._worker.put(notification):
            self._report("is too slow")

    def ask_to_end(self) -> None:
        if not self._worker.ask_to_end():
            self._report("is too slow")

    def wait(self, end: float) -> None:
        if not self._worker.join(end - time.monotonic()):
            self._report("did not take the last notification in time")

    def _work(self, notifications: Iterator[Notification]) -> None:
        for notification in notifications:
            try:
                post(self._url, notification)
            except NotDelivered as error:
                self._report(str(error))

    def _report(self, sentence: str) -> None:
        if not self._is_reported:
            self._is_reported = True
            self._log(f"notifications are lost: {shown(self._url)} {sentence}")
