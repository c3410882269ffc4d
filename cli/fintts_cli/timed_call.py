"""A question to a server that may never answer: a thread asks it, and the wait has a limit."""

from __future__ import annotations

import threading
import time
from concurrent.futures import Future
from typing import TYPE_CHECKING, Generic, TypeVar

from fintts_store.errors import StoreUnreachable

if TYPE_CHECKING:
    from collections.abc import Callable

Result = TypeVar("Result")

_asked: list[Future[object]] = []


class TimedCall(Generic[Result]):
    """Starts at once in a thread; the caller can do other work until it calls `result`."""

    def __init__(
        self,
        whom: str,
        ask: Callable[[], Result],
        limit_seconds: float,
        late: Callable[[str, str], Exception] = StoreUnreachable,
    ) -> None:
        """`whom` names the one asked in the user's terms, such as a store's address; `late` makes
        the error, from a sentence and a hint."""
        self._whom, self._late = whom, late
        self._limit_seconds = limit_seconds
        self._ends_at = time.monotonic() + self._limit_seconds
        self._future: Future[Result] = Future()
        _asked.append(self._future)  # type: ignore[arg-type]  # Future is invariant
        # A daemon thread, so that an overdue call does not keep the process alive.
        threading.Thread(target=self._ask, args=(ask,), daemon=True).start()

    def result(self) -> Result:
        """Waits for the answer and raises what the call raised.

        Raises:
            StoreUnreachable, or what `late` makes: no answer came within the limit.
        """
        try:
            return self._future.result(max(self._ends_at - time.monotonic(), 0.0))
        except TimeoutError:
            if self._future.done():  # the call's own TimeoutError
                raise
            raise self._late(
                f"{self._whom} did not answer within {self._limit_seconds:.0f} s",
                "check the network and the address, then run the command again",
            ) from None

    def _ask(self, ask: Callable[[], Result]) -> None:
        try:
            self._future.set_result(ask())
        except BaseException as error:
            self._future.set_exception(error)


def is_overdue() -> bool:
    """Whether a thread still waits for an answer. A normal exit might wait for it too, since the
    threads that it started are not daemons."""
    return any(not future.done() for future in _asked)
