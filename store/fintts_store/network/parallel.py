"""Runs a few transfers at once: a checkpoint has many files, and round trips are long."""

import threading
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor, as_completed
from typing import TypeVar

AT_ONCE = 4
SMALL_AT_ONCE = 16
"""Of small objects, where the way to the store takes longest; more at once are no faster in Python
(benchmarks/manifests.py)"""

Item = TypeVar("Item")


def in_parallel(
    work: Callable[[Item, threading.Event], None], items: Iterable[Item], at_once: int = AT_ONCE
) -> None:
    """Calls `work(item, stop)` for each item, `at_once` at once; returns when all have ended.

    The first error, or Ctrl-C, sets `stop` for the running calls and starts no others; then the
    error is raised.
    """
    stop = threading.Event()
    with ThreadPoolExecutor(at_once) as pool:
        futures = [pool.submit(work, item, stop) for item in items]
        try:
            for future in as_completed(futures):
                future.result()
        except BaseException:
            stop.set()
            pool.shutdown(wait=False, cancel_futures=True)
            raise
