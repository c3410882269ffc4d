"""A question to a store that may never answer: a thread asks it, and waiting has a limit."""

from __future__ import annotations

import threading
import time
from concurrent.futures import Future
from typing import TYPE_CHECKING, Generic, TypeVar

from fintts_store.errors import StoreUnreachable

if TYPE_CHECKING:
    from collections.abc import Callable

ANSWERS_WITHIN_SECONDS = 20.0
"""A store that is well answers within a second or two."""

Answer = TypeVar("Answer")

_asked: list[Future[object]] = []


class Question(Generic[Answer]):
    """Is asked as it is made; whoever asks does other things until `answer`."""

    def __init__(
        self,
        whom: str,
        ask: Callable[[], Answer],
        limit_seconds: float | None = None,
    ) -> None:
        """`whom`: as the user knows it, such as a store's address."""
        self._whom = whom
        self._limit_seconds = limit_seconds or ANSWERS_WITHIN_SECONDS
        self._ends_at = time.monotonic() + self._limit_seconds
        self._future: Future[Answer] = Future()
        _asked.append(self._future)  # type: ignore[arg-type]  # Future is invariant
        # A daemon, so that a question without an answer does not keep the process from ending.
        threading.Thread(target=self._ask, args=(ask,), daemon=True).start()

    def answer(self) -> Answer:
        """Waits for it. What the question raises is raised here.

        Raises:
            StoreUnreachable: there is no answer within the limit.
        """
        try:
            return self._future.result(max(self._ends_at - time.monotonic(), 0.0))
        except TimeoutError:
            if self._future.done():  # its own error, of that kind
                raise
            raise StoreUnreachable(
                f"{self._whom} did not answer within {self._limit_seconds:.0f} s",
                "look at the network and the address, and run the command again",
            ) from None

    def _ask(self, ask: Callable[[], Answer]) -> None:
        try:
            self._future.set_result(ask())
        except BaseException as error:
            self._future.set_exception(error)


def is_unanswered() -> bool:
    """Whether a thread still waits for an answer: an ordinary exit might wait for it, too, since
    what it started in its turn are no daemons."""
    return any(not future.done() for future in _asked)
