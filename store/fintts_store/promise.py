"""The promise that runs rely on: of several who create one key exactly one succeeds.

It is tried with a race of writers before the first run goes to a store, and again when its server
is another one. What was found lies in the store, so that later launches need not try it.
"""

from datetime import UTC, datetime
from typing import Annotated, Protocol, runtime_checkable

from pydantic import Field

from fintts_store.errors import InvalidRecord, KeyNotFound, StoreUnsound
from fintts_store.layout import PROMISE
from fintts_store.probes import create_is_exclusive
from fintts_store.races import RACES, WRITERS
from fintts_store.runs.fields import Moment, Name
from fintts_store.runs.limits import NAME_CHARACTERS
from fintts_store.runs.records import Record
from fintts_store.store import Store

VERSION = 1
OPTION = "--single-writer"


@runtime_checkable
class NamesItsServer(Protocol):
    """A store that can say on what it lies."""

    def server(self) -> str:
        """Name and version of what keeps the store; another text means that it may have changed."""
        ...


class Promise(Record):
    """promise.json: what was tried, when, and on which server."""

    version: Annotated[int, Field(ge=1)] = VERSION
    is_exclusive: bool
    server: Name
    races: int = RACES
    writers: int = WRITERS
    tried_at: Moment


def require_promise(store: Store, *, single_writer: bool) -> None:
    """Tries the store unless it has been tried; `single_writer` does without.

    Raises:
        StoreUnsound: more than one writer succeeded.
        StoreError: the store cannot be read or written.
    """
    if single_writer:
        return
    server = server_of(store)
    known = read_promise(store)
    if known is not None and known.is_exclusive and known.server == server:
        return
    found = Promise(
        is_exclusive=create_is_exclusive(store), server=server, tried_at=datetime.now(UTC)
    )
    store.put(PROMISE, found.dump().encode())
    if not found.is_exclusive:
        raise StoreUnsound(
            f"{store.url} does not keep its promise: of {WRITERS} writers that created one key at "
            "once not exactly one succeeded, so two instances could overwrite each other's run",
            f"use another store; {OPTION} uses it all the same, if nobody else writes to it and no "
            "run of yours has two instances",
        )


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
