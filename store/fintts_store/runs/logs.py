"""The logs of a run's instances, kept in the store."""

from collections.abc import Iterator
from datetime import datetime

from fintts_store import layout
from fintts_store.errors import KeyNotFound
from fintts_store.runs import limits
from fintts_store.store import Entry, Store


def write_log(store: Store, run: str, ended_at: datetime, text: bytes) -> None:
    """Saves an instance's log, which would be lost with the instance."""
    store.put(layout.log_key(run, ended_at), text)


def read_logs(store: Store, run: str) -> Iterator[str]:
    """Yields the log of each instance, in the order of their ends.

    Reads only the end of a large log, and only the newest of many logs; the text says so.
    """
    entries = store.list(layout.logs_prefix(run))
    if len(entries) > limits.LOGS:
        yield f"[{len(entries) - limits.LOGS} older logs are left out]\n"
    for entry in entries[-limits.LOGS :]:
        yield from _text(store, entry)


def _text(store: Store, entry: Entry) -> Iterator[str]:
    start = max(entry.size_bytes - limits.LOG_BYTES, 0)
    if start:
        yield f"[the first {start:,} bytes of {entry.key} are left out]\n"
    content = bytearray()
    try:
        for chunk in store.stream(entry.key, start):
            content += chunk
            if len(content) > limits.LOG_BYTES:  # it has grown since the listing
                break
    except KeyNotFound:
        return
    yield content[: limits.LOG_BYTES].decode(errors="replace")
