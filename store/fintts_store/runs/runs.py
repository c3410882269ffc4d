"""The runs in a store: reading and writing their records."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime

from pydantic import JsonValue

from fintts_store import layout
from fintts_store.errors import InvalidRecord, InvalidRunName, KeyNotFound
from fintts_store.runs.reading import find_record, read_record
from fintts_store.runs.records import Result, Status, StopRequest
from fintts_store.runs.run_record import Revision, RunRecord
from fintts_store.store import Store


def _pass_over(_error: InvalidRecord) -> None:
    """Ignores a damaged record."""


def list_runs(store: Store) -> list[str]:
    """The names of all runs, sorted."""
    return store.folders(layout.RUNS)


def create_run(store: Store, record: RunRecord) -> None:
    """Writes run.json. Raises KeyExists if a run has that name."""
    store.create(layout.run_json_key(record.run), record.dump().encode())


def read_run(store: Store, run: str) -> RunRecord:
    """run.json, with the newest configuration.

    Raises:
        KeyNotFound: there is no such run; the hint lists the existing ones.
        StoreError: a record is damaged, or the store cannot be read.
    """
    record = _read_run_json(store, run)
    numbers = _revisions(store, run)
    if not numbers:
        return record
    config = _read_revision(store, run, numbers[-1]).config
    return record.model_copy(update={"config": config, "revision": numbers[-1]})


def read_configurations(store: Store, run: str) -> list[dict[str, JsonValue]]:
    """Every configuration of the run: run.json's, then one for each revision.

    Raises:
        StoreError: a record is damaged, or the store cannot be read.
    """
    changed = [_read_revision(store, run, number) for number in _revisions(store, run)]
    return [_read_run_json(store, run).config, *(revision.config for revision in changed)]


def create_revision(store: Store, revision: Revision) -> None:
    """Changes the configuration. Raises KeyExists if another laptop has just changed it."""
    key = layout.revision_key(revision.run, revision.number)
    store.create(key, revision.dump().encode())


def withdraw_revision(store: Store, run: str, number: int) -> None:
    """Removes a revision that no launch has used in training."""
    store.delete(layout.revision_key(run, number))


def _revisions(store: Store, run: str) -> list[int]:
    keys = [entry.key for entry in store.list(layout.revisions_prefix(run))]
    numbers = [layout.revision_of(run, key) for key in keys]
    return sorted(number for number in numbers if number is not None)


def _read_revision(store: Store, run: str, number: int) -> Revision:
    key = layout.revision_key(run, number)
    revision = read_record(store, Revision, run, key)
    if revision.number != number:
        raise InvalidRecord(
            f"{store.url}/{key} is the record of revision {revision.number}",
            "it was moved or changed by hand; remove it",
        )
    return revision


def _read_run_json(store: Store, run: str) -> RunRecord:
    key = layout.run_json_key(run)
    try:
        return read_record(store, RunRecord, run, key)
    except KeyNotFound:
        if key.removeprefix(layout.run_prefix(run)) in store.folders(layout.run_prefix(run)):
            raise InvalidRecord(
                f"the record of run {run} is damaged: {store.url}/{key} is a folder",
                "move the folder away and put the record in its place",
            ) from None
        known = ", ".join(list_runs(store)[-5:]) or "none yet"
        raise KeyNotFound(f"there is no run {run} in {store.url}", f"runs there: {known}") from None


def newest_run(store: Store) -> str | None:
    """The run created last; None if there is none. Damaged records are skipped."""
    records = list(_readable(store))
    newest = max(records, key=lambda record: record.created_at, default=None)
    return None if newest is None else newest.run


def _readable(store: Store) -> Iterator[RunRecord]:
    for run in list_runs(store):
        try:
            yield _read_run_json(store, run)
        except (InvalidRecord, InvalidRunName, KeyNotFound):
            continue


def read_status(store: Store, run: str) -> Status | None:
    """The last heartbeat; None before the first."""
    return find_record(store, Status, run, layout.status_key(run))


def readable_status(
    store: Store, run: str, on_damaged: Callable[[InvalidRecord], None] = _pass_over
) -> Status | None:
    """The last heartbeat; a damaged one goes to `on_damaged`, and gives None."""
    try:
        return read_status(store, run)
    except InvalidRecord as error:
        on_damaged(error)
        return None


def write_status(store: Store, status: Status) -> None:
    """Overwrites the heartbeat."""
    store.put(layout.status_key(status.run), status.dump().encode())


def read_result(store: Store, run: str) -> Result | None:
    """How the run ended; None before that."""
    return find_record(store, Result, run, layout.result_key(run))


def readable_result(
    store: Store, run: str, on_damaged: Callable[[InvalidRecord], None] = _pass_over
) -> Result | None:
    """How the run ended; a damaged record goes to `on_damaged`, and gives None."""
    try:
        return read_result(store, run)
    except InvalidRecord as error:
        on_damaged(error)
        return None


def withdraw_result(store: Store, run: str) -> None:
    """Removes the result, so that an ended run can continue."""
    store.delete(layout.result_key(run))


def request_stop(store: Store, run: str, reason: str) -> None:
    """Asks the trainer to save, upload and end."""
    request = StopRequest(run=run, reason=reason, at=datetime.now(UTC))
    store.put(layout.stop_request_key(run), request.dump().encode())


def stop_requested(store: Store, run: str) -> bool:
    """Whether there is a request to end the run."""
    key = layout.stop_request_key(run)
    try:
        return StopRequest.load(store.get(key), key).run == run
    except KeyNotFound:
        return False
    except InvalidRecord:
        # A damaged request still counts: stopping loses nothing, since the run saves first, and
        # continuing bills. A valid request of another run is a file in the wrong place, and is
        # ignored.
        return True


def withdraw_stop(store: Store, run: str) -> None:
    """Removes a stop request, so that a resumed run does not end at once."""
    store.delete(layout.stop_request_key(run))
