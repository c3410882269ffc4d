"""Probes of a store: whether it allows what runs need, and keeps its promises.

Each probe uses the real store, in its own folder, which is always removed afterwards.
"""

import re
import secrets
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Protocol, runtime_checkable

from fintts_store.errors import (
    KeyNotFound,
    PermissionMissing,
    StoreError,
    StoreUnreachable,
)
from fintts_store.layout import PROBES
from fintts_store.network.parallel import in_parallel
from fintts_store.probes.races import RACES, WRITERS, run_races
from fintts_store.store import Store

SAMPLE_BYTES = 1024
CONDITIONAL_WRITE = "conditional write"
"""The probe that a single-writer store may fail"""
KEPT_FROM_EARLIER = timedelta(hours=1)
"""No check lasts this long: older traces come from a killed check"""
MOMENT = "%Y%m%dT%H%M%SZ"
_FOLDER = re.compile(r"(\d{8}T\d{6}Z)-[0-9a-f]{8}")


class Verdict(StrEnum):
    """The result of a probe."""

    OK = "ok"
    WARNING = "warning"
    FAILED = "failed"
    NOT_PROBED = "not probed"


@dataclass(frozen=True, slots=True)
class Finding:
    """The finding of a probe; a StoreError means that it failed."""

    verdict: Verdict = Verdict.OK
    sentence: str = ""
    hint: str = ""


@dataclass(frozen=True, slots=True)
class Probe:
    """One check of a store, which requires that the probe `after` succeeded."""

    name: str
    ask: Callable[[], Finding]
    after: str | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """A probe's name and what it found."""

    name: str
    finding: Finding


@dataclass(frozen=True, slots=True)
class ProbeFolder:
    """The folder of the probes, and the keys that they may have written there."""

    store: Store
    prefix: str

    @property
    def sample(self) -> str:
        """The key of a small object."""
        return f"{self.prefix}sample"

    def race(self, number: int) -> str:
        """The key that all writers of one race create."""
        return f"{self.prefix}race-{number}"

    @property
    def races(self) -> tuple[str, ...]:
        """The keys of all races."""
        return tuple(self.race(number) for number in range(RACES))

    @property
    def parts(self) -> str:
        """The key of an object in several parts."""
        return f"{self.prefix}parts"

    @property
    def aborted(self) -> str:
        """The key of an object that is started and never finished."""
        return f"{self.prefix}aborted"

    @property
    def keys(self) -> tuple[str, ...]:
        """All keys, so that they can be deleted even if they cannot be listed."""
        return (self.sample, *self.races, self.parts, self.aborted)


def new_probe_folder(store: Store) -> ProbeFolder:
    """A new folder for these probes."""
    return ProbeFolder(store, f"{PROBES}{datetime.now(UTC):{MOMENT}}-{secrets.token_hex(4)}/")


OwnProbes = Callable[[ProbeFolder], Sequence[Probe]]
"""Additional probes of one kind of store"""


@runtime_checkable
class HasProbes(Protocol):
    """A store with additional probes."""

    @property
    def probes(self) -> OwnProbes:
        """The additional probes, in order; they run after those of every store."""
        ...


@runtime_checkable
class CleansUp(Protocol):
    """A store whose first write also creates other things, such as its folder."""

    def as_it_was(self) -> AbstractContextManager[Store]:
        """Yields a store at the same address, and removes what its first write created."""
        ...


def probe_store(store: Store) -> list[Outcome]:
    """Runs every probe; the last outcome says whether all traces are gone.

    Raises:
        KeyboardInterrupt: you ended it; the traces are gone, or the message names them.
    """
    place = store.as_it_was() if isinstance(store, CleansUp) else nullcontext(store)
    with place as here:
        return _probe(here)


def _probe(store: Store) -> list[Outcome]:
    folder = new_probe_folder(store)
    own = store.probes(folder) if isinstance(store, HasProbes) else ()
    try:
        outcomes = _ask_all([*_common_probes(folder), *own, _delete_probe(folder)])
    except KeyboardInterrupt:
        left = sweep(folder)
        raise KeyboardInterrupt(left.sentence) from None
    except BaseException:
        sweep(folder)
        raise
    if all(outcome.finding.verdict is Verdict.NOT_PROBED for outcome in outcomes[1:]):
        return outcomes  # nothing can have been written
    return [*outcomes, Outcome("clean up", sweep(folder))]


def _ask_all(probes: Sequence[Probe]) -> list[Outcome]:
    """Runs the probes in order, until the store as a whole turns out to be unusable."""
    outcomes: list[Outcome] = []
    good: set[str | None] = {None}
    unusable = False
    for probe in probes:
        finding = Finding(Verdict.NOT_PROBED)
        if not unusable and probe.after in good:
            finding, unusable = _ask(probe, is_first=not outcomes)
        if finding.verdict in (Verdict.OK, Verdict.WARNING):
            good.add(probe.name)
        outcomes.append(Outcome(probe.name, finding))
    return outcomes


def _ask(probe: Probe, *, is_first: bool) -> tuple[Finding, bool]:
    """(finding, whether it means that the store cannot be used at all)."""
    try:
        return probe.ask(), False
    except PermissionMissing as error:
        return Finding(Verdict.FAILED, error.message, error.hint), False
    except StoreError as error:
        finding = Finding(Verdict.FAILED, error.message, error.hint)
        return finding, is_first or isinstance(error, StoreUnreachable)


def _common_probes(folder: ProbeFolder) -> list[Probe]:
    store, sample = folder.store, secrets.token_bytes(SAMPLE_BYTES)

    def lists() -> Finding:
        store.list(folder.prefix)
        return Finding()

    def writes() -> Finding:
        store.put(folder.sample, sample)
        return Finding()

    def reads() -> Finding:
        if store.get(folder.sample) == sample:
            return Finding()
        return Finding(Verdict.FAILED, "the bytes read differ from those written")

    return [
        Probe("list", lists),
        Probe("write", writes),
        Probe("read back", reads, after="write"),
        Probe(CONDITIONAL_WRITE, lambda: _race_all(folder), after="write"),
    ]


def _race_all(folder: ProbeFolder) -> Finding:
    for race in run_races(folder.store, folder.races):
        if not race.has_one_winner:
            kept = ", and another writer's data is kept" if race.kept not in race.winners else ""
            return Finding(
                Verdict.FAILED,
                f"{len(race.winners)} of {WRITERS} writers won a race{kept}",
                "two instances could both take over one run; use another store",
            )
    return Finding(sentence=f"{RACES} races of {WRITERS} writers, one winner each")


def create_is_exclusive(store: Store, races: int = RACES, writers: int = WRITERS) -> bool:
    """Whether exactly one of the writers that create a key at the same moment succeeds.

    Leaves nothing in the store. If the process is killed, a later check removes the rest.

    Raises:
        StoreError: the store cannot be read, or cannot be written below `probes/`.
    """
    folder = new_probe_folder(store)
    keys = [folder.race(number) for number in range(races)]
    try:
        return all(race.has_one_winner for race in run_races(store, keys, writers))
    finally:
        _remove(store, keys)


def _remove(store: Store, keys: Sequence[str]) -> None:
    """Removes the traces; a later check removes what cannot be removed now."""
    with suppress(StoreError):
        in_parallel(lambda key, _stop: store.delete(key), keys, at_once=WRITERS)


def _delete_probe(folder: ProbeFolder) -> Probe:
    def deletes() -> Finding:
        folder.store.delete(folder.sample)
        with suppress(KeyNotFound):
            folder.store.get(folder.sample)
            return Finding(Verdict.FAILED, "a deleted file can still be read")
        return Finding()

    return Probe("delete", deletes, after="write")


def sweep(folder: ProbeFolder) -> Finding:
    """Removes every trace of these probes, and of killed checks."""
    store = folder.store
    try:
        for key in folder.keys:
            store.delete(key)
    except StoreError as error:
        left = f"the files of the probes stay in {folder.prefix}"
        return Finding(Verdict.FAILED, f"{left}: {error.message}", error.hint)
    try:
        for prefix in (folder.prefix, *_left_by_others(store)):
            store.discard_unfinished(prefix)
            for entry in store.list(prefix):
                store.delete(entry.key)
        stays = store.list(folder.prefix)
    except StoreError as error:
        doubt = f"it is unknown whether files stay in {PROBES}"
        return Finding(Verdict.WARNING, f"{doubt}: {error.message}", error.hint)
    if stays:
        return Finding(Verdict.FAILED, f"the files of the probes stay in {folder.prefix}")
    return Finding()


def _left_by_others(store: Store) -> list[str]:
    before = datetime.now(UTC) - KEPT_FROM_EARLIER
    return [f"{PROBES}{name}/" for name in store.folders(PROBES) if _is_of(name, before)]


def _is_of(name: str, before: datetime) -> bool:
    match = _FOLDER.fullmatch(name)
    if match is None:  # a file of the user's
        return False
    return datetime.strptime(match[1], MOMENT).replace(tzinfo=UTC) < before
