"""The promise that runs rely on: exactly one of several writers that create a key succeeds.

A race of writers tests it before the first run in a store, and again if its server changes. The
store keeps the result, so that later launches skip the test; it also keeps your statement that you
are the only writer, for every process that writes to it.
"""

from datetime import UTC, datetime
from typing import Annotated, Protocol, runtime_checkable

from pydantic import Field

from fintts_store.errors import InvalidRecord, KeyNotFound, StoreUnsound
from fintts_store.layout import PROBES, PROMISE
from fintts_store.probes.probes import create_is_exclusive
from fintts_store.probes.races import RACES, WRITERS
from fintts_store.runs.fields import Moment, Name
from fintts_store.runs.limits import NAME_CHARACTERS
from fintts_store.runs.record import Record
from fintts_store.store import Store

VERSION = 1
OPTION = "--single-writer"
WAY_OUT = (
    f"use another store, or {OPTION} if no one else writes to this one and none of your runs has "
    "two instances"
)


@runtime_checkable
class NamesItsServer(Protocol):
    """A store that can name its server."""

    def server(self) -> str:
        """Name and version of the server; a different text means that it may have changed."""
        ...


class Promise(Record):
    """promise.json: the test's result, time and server; or that there was no test."""

    version: Annotated[int, Field(ge=1)] = VERSION
    is_exclusive: bool
    """exactly one of several writers that create a key succeeds; also false if untested"""
    single_writer: bool = False
    """the user stated to be the only writer, so there was no test"""
    server: Name
    races: int = RACES
    writers: int = WRITERS
    tried_at: Moment


def require_promise(store: Store, *, single_writer: bool) -> None:
    """Tests the store unless it is tested; `single_writer` is recorded instead of a test.

    Raises:
        StoreUnsound: more than one writer succeeded, or the server lacks exclusive creation.
        StoreError: the store cannot be read or written.
    """
    server = server_of(store)
    known = read_promise(store)
    if known is not None and known.server == server and (known.is_exclusive or single_writer):
        return
    if single_writer:
        said = Promise(
            is_exclusive=False, single_writer=True, server=server, tried_at=datetime.now(UTC)
        )
        store.put(PROMISE, said.dump().encode())
        return
    found = Promise(
        is_exclusive=create_is_exclusive(store), server=server, tried_at=datetime.now(UTC)
    )
    store.put(PROMISE, found.dump().encode())
    if not found.is_exclusive:
        raise StoreUnsound(
            f"{store.url} cannot tell two writers apart: when {WRITERS} created one key at once, "
            "not exactly one succeeded, so two instances could overwrite each other's run",
            WAY_OUT,
        )


def has_single_writer(store: Store, key: str) -> bool:
    """Whether the user's statement allows creating this key untested; never for probes."""
    if key.startswith(PROBES):
        return False
    known = read_promise(store)
    return known is not None and known.single_writer


def server_of(store: Store) -> str:
    """The store's server in one line; empty if unknown."""
    text = store.server() if isinstance(store, NamesItsServer) else ""
    return "".join(c for c in text if c.isprintable())[:NAME_CHARACTERS]


def read_promise(store: Store) -> Promise | None:
    """The earlier result; None if there is none, or if it cannot be read."""
    try:
        promise = Promise.load(store.get(PROMISE), f"{store.url}/{PROMISE}")
    except (InvalidRecord, KeyNotFound):
        return None
    return promise if promise.version == VERSION else None
