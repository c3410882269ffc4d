"""The promise that runs rely on: of several who create one key exactly one succeeds.

It is tried with a race of writers before the first run goes to a store, and again when its server
is another one. What was found lies in the store, so that later launches need not try it; that its
user is the only writer lies there too, for every process that writes to it.
"""

from datetime import UTC, datetime
from typing import Annotated, Protocol, runtime_checkable

from pydantic import Field

from fintts_store.errors import InvalidRecord, KeyNotFound, StoreUnsound
from fintts_store.layout import PROBES, PROMISE
from fintts_store.probes import create_is_exclusive
from fintts_store.races import RACES, WRITERS
from fintts_store.runs.fields import Moment, Name
from fintts_store.runs.limits import NAME_CHARACTERS
from fintts_store.runs.records import Record
from fintts_store.store import Store

VERSION = 1
OPTION = "--single-writer"
WAY_OUT = (
    f"use another store; {OPTION} uses it all the same, if nobody else writes to it and no run of "
    "yours has two instances"
)


@runtime_checkable
class NamesItsServer(Protocol):
    """A store that can say on what it lies."""

    def server(self) -> str:
        """Name and version of what keeps the store; another text means that it may have changed."""
        ...


class Promise(Record):
    """promise.json: what was tried, when, and on which server; or that nothing was."""

    version: Annotated[int, Field(ge=1)] = VERSION
    is_exclusive: bool
    """of several who create a key exactly one succeeds; false also where it was not tried"""
    single_writer: bool = False
    """the user has said that this is the only writer, so nothing was tried"""
    server: Name
    races: int = RACES
    writers: int = WRITERS
    tried_at: Moment


def require_promise(store: Store, *, single_writer: bool) -> None:
    """Tries the store unless it has been tried; `single_writer` is remembered there instead.

    Raises:
        StoreUnsound: more than one writer succeeded, or the server cannot create a key for one.
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
            f"{store.url} does not keep its promise: of {WRITERS} writers that created one key at "
            "once not exactly one succeeded, so two instances could overwrite each other's run",
            WAY_OUT,
        )


def has_single_writer(store: Store, key: str) -> bool:
    """Whether this key may be created without the promise, on its user's word; a probe's never."""
    if key.startswith(PROBES):
        return False
    known = read_promise(store)
    return known is not None and known.single_writer


def server_of(store: Store) -> str:
    """What the store lies on, in one line; empty where it cannot be told."""
    text = store.server() if isinstance(store, NamesItsServer) else ""
    return "".join(c for c in text if c.isprintable())[:NAME_CHARACTERS]


def read_promise(store: Store) -> Promise | None:
    """What was found earlier; None where nothing was, or where it cannot be read."""
    try:
        promise = Promise.load(store.get(PROMISE), f"{store.url}/{PROMISE}")
    except (InvalidRecord, KeyNotFound):
        return None
    return promise if promise.version == VERSION else None
