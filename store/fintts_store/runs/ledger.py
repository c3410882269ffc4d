"""The ledger of a run: who asked for which instance on which terms, and when it came and went.

Every file is written once, by one writer. `asked.json` takes the number of a launch before anything
is rented, so of two laptops that launch a run at once exactly one gets it.
"""

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Annotated, Literal, TypeVar

from pydantic import AfterValidator, Field, ValidationError

from fintts_store import layout
from fintts_store.errors import InvalidRecord, KeyExists, KeyNotFound, LaunchTaken
from fintts_store.runs import limits
from fintts_store.runs.fields import HourlyRate, Moment, Name, Seconds, Usd
from fintts_store.runs.fields import Launch as LaunchNumber
from fintts_store.runs.noted_process import NotedProcess
from fintts_store.runs.reading import read_record
from fintts_store.runs.records import OfRun, Record
from fintts_store.store import Store

_WRITER = re.compile("[0-9a-f]{32}")


def _is_laptop_id(text: str) -> str:
    if not _WRITER.fullmatch(text):
        raise ValueError("not 32 of the characters 0 to 9 and a to f")
    return text


Reserve = Annotated[Seconds, Field(le=limits.RESERVE_SECONDS)]
LedgerRecord = TypeVar("LedgerRecord", "Asked", "Up", "Gone")


class Evidence(StrEnum):
    """What an end is known from, the surest first."""

    CLOUD = "cloud"
    """it was removed, or the cloud was seen without it"""
    RESULT = "result"
    HEARTBEAT = "heartbeat"
    """read alone: a last heartbeat is the end of no instance, and counts as none"""
    DEADLINE = "deadline"
    """unobserved: it is the latest possible moment"""


SURE = (Evidence.CLOUD, Evidence.RESULT)
"""ends that were observed"""


class Laptop(Record):
    """The machine that asks."""

    id: Annotated[str, AfterValidator(_is_laptop_id)]
    """made once and kept in its state folder"""
    host: Name
    """its name, for people"""
    user: Name = ""
    """who works there; empty where that is not known"""

    @property
    def whose(self) -> str:
        """As a person says it."""
        return f"{self.user} on {self.host}" if self.user else self.host

    @property
    def writer(self) -> str:
        """As it stands in the names of files."""
        return self.id[:8]


UNKNOWN_LAPTOP = Laptop(id="0" * 32, host="a laptop without a state folder")


class Earlier(Record):
    """What instances cost that a version without a ledger asked for."""

    seconds: Seconds
    usd: Usd
    is_at_most: bool


class Asked(OfRun):
    """asked.json: one launch, as it was before anything was rented."""

    launch: LaunchNumber
    asker: Laptop
    requested_at: Moment
    infra: Name
    rates_usd: Annotated[dict[Name, HourlyRate], Field(min_length=1, max_length=limits.RENTALS)]
    """an hour of each GPU that it may have"""
    spot: bool = False
    deadline_at: Moment
    """when the trainer must have ended"""
    reserve_seconds: Reserve
    """after the deadline, for its last save and the teardown: nothing bills beyond it"""
    teardown_seconds: Reserve = 0.0
    """how long an instance at most outlives its trainer's last word"""
    earlier: Earlier | None = None
    pid: Annotated[int, Field(ge=0, le=limits.COUNT)] | None = None
    """of the process that asks; for versions that know no `asked_by`"""
    asked_by: NotedProcess | None = None
    """the process that asks; None in a file of a version that noted its number alone"""

    @property
    def process(self) -> NotedProcess | None:
        """The one that asks; an earlier version noted its number, and its laptop's name."""
        if self.asked_by is not None or self.pid is None:
            return self.asked_by
        return NotedProcess(pid=self.pid, host=self.asker.host)

    @property
    def over_at(self) -> datetime:
        """From when on nothing of it bills, whatever becomes of laptops and trainer."""
        return max(self.deadline_at, self.requested_at) + timedelta(seconds=self.reserve_seconds)


class Up(OfRun):
    """up-….json: the instance is there."""

    kind: Literal["up"] = "up"
    launch: LaunchNumber
    at: Moment
    """since when"""
    gpus: Name | None = None
    """that it has, as `--gpus` has it"""
    seen_by: Laptop


class Gone(OfRun):
    """gone-….json: the instance is not there any more. Where a spot run looks for another one, its
    end is written when that one is up, or when none comes."""

    kind: Literal["gone"] = "gone"
    launch: LaunchNumber
    at: Moment
    """since when at the latest"""
    evidence: Evidence
    alive_at: Moment | None = None
    """the last moment at which it was seen alive"""
    hourly_rate_usd: HourlyRate | None = None
    """what an hour of it cost, by the cloud's own price history"""
    seen_by: Laptop


@dataclass(frozen=True, slots=True)
class Launch:
    """What the ledger says of one launch; `asked` is None where its file is damaged.

    Unobserved ends are not among `gones`.
    """

    number: int
    asked: Asked | None
    ups: tuple[Up, ...] = ()
    gones: tuple[Gone, ...] = ()

    @property
    def standing_gones(self) -> tuple[Gone, ...]:
        """Those ends after which it was not seen up: who looks too early sees no instance yet."""
        came = max((up.at for up in self.ups), default=None)
        return tuple(each for each in self.gones if came is None or each.at >= came)

    @property
    def is_known_gone(self) -> bool:
        """Whether the cloud was seen without it, after it was last seen up."""
        return any(each.evidence == Evidence.CLOUD for each in self.standing_gones)


@dataclass(frozen=True, slots=True)
class Ledger:
    """All launches of a run, the oldest first."""

    launches: tuple[Launch, ...] = ()
    damaged: tuple[InvalidRecord, ...] = ()
    """each names a file that cannot be read"""

    @property
    def newest(self) -> Launch | None:
        """The launch with the highest number."""
        return self.launches[-1] if self.launches else None

    @property
    def next_number(self) -> int:
        """The number that the next launch takes."""
        return self.launches[-1].number + 1 if self.launches else 1


def take_launch(store: Store, asked: Asked) -> int:
    """Takes the number that is in `asked`; of several at once exactly one gets it.

    Raises:
        LaunchTaken: another laptop has it; the message says which.
        StoreError: the store cannot be written.
    """
    key = layout.asked_key(asked.run, asked.launch)
    try:
        store.create(key, asked.dump().encode())
    except KeyExists:
        other = _who_has_it(store, key, asked)
        if other != asked:  # else the answer to an earlier try of the same request was lost
            raise LaunchTaken(_told(other, asked.run), _HINT) from None
    return asked.launch


_HINT = "`fintts cloud ps` shows what it does; --name starts another run"


def _who_has_it(store: Store, key: str, asked: Asked) -> Asked | None:
    try:
        return _load(store, key, Asked, asked.run, asked.launch)
    except (InvalidRecord, KeyNotFound):
        return None


def _told(other: Asked | None, run: str) -> str:
    if other is None:
        return f"somebody else has just launched run {run}"
    when = f"{other.requested_at.astimezone(UTC):%H:%M:%S} UTC"
    return f"{other.asker.host} has launched run {run} already, at {when}"


def withdraw_launch(store: Store, run: str, launch: int) -> None:
    """Removes a launch of which nothing was ever rented, together with its run."""
    asked = layout.asked_key(run, launch)
    for entry in store.list(layout.launch_prefix(run, launch)):
        if entry.key != asked:
            store.delete(entry.key)
    store.delete(asked)  # last, since it holds the number


def write_sighting(store: Store, seen: Up | Gone) -> None:
    """Writes it, unless this laptop has said the same before."""
    key = layout.sighting_key(seen.run, seen.launch, seen.kind, seen.at, seen.seen_by.writer)
    try:
        store.create(key, seen.dump().encode())
    except KeyExists:
        return


def read_ledger(store: Store, run: str) -> Ledger:
    """The whole ledger; what is damaged is named, and its launch is still counted.

    Raises:
        StoreError: the store cannot be read.
    """
    entries = store.list(layout.ledger_prefix(run))
    return _assembled(store, run, [entry.key for entry in entries])


def _assembled(store: Store, run: str, keys: Iterable[str]) -> Ledger:
    asked: dict[int, Asked] = {}
    ups: defaultdict[int, list[Up]] = defaultdict(list)
    gones: defaultdict[int, list[Gone]] = defaultdict(list)
    by_launch, damaged = _by_launch(store, run, keys)
    for number, files in by_launch.items():
        for key in files:
            try:
                _sort_in(_read(store, key, run, number), asked, ups, gones)
            except InvalidRecord as error:
                damaged.append(error)
                ups[number] += _told_by_name(run, number, key)
            except KeyNotFound:  # withdrawn since the listing
                continue
    launches = tuple(
        Launch(number, asked.get(number), tuple(ups[number]), tuple(_seen(gones[number])))
        for number in by_launch
    )
    return Ledger(launches, tuple(damaged))


def _seen(gones: Iterable[Gone]) -> Iterator[Gone]:
    return (each for each in gones if each.evidence in SURE)


def _told_by_name(run: str, number: int, key: str) -> list[Up]:
    """A damaged sighting still says by its name when the instance was up: without it, somebody who
    looked too early, and saw none yet, would be believed."""
    try:
        at = layout.seen_up_at(run, key)
        return [] if at is None else [Up(run=run, launch=number, at=at, seen_by=UNKNOWN_LAPTOP)]
    except ValidationError:  # no year that a record may have
        return []


def _by_launch(
    store: Store, run: str, keys: Iterable[str]
) -> tuple[dict[int, list[str]], list[InvalidRecord]]:
    """The files of each launch, in their order, without those that no laptop can have written."""
    found: defaultdict[int, list[str]] = defaultdict(list)
    for key in keys:
        number = layout.launch_of(run, key)
        if number:  # else it was put there by hand
            found[number].append(key)
    kept: dict[int, list[str]] = {}
    damaged: list[InvalidRecord] = []
    highest = 0
    for number, files in sorted(found.items()):
        if number - highest > limits.MISSING_LAUNCHES + 1 or len(kept) >= limits.LAUNCHES_READ:
            damaged.append(_strange(store, files[0], "its number is too high"))
            break
        highest = number
        kept[number] = files[: limits.SIGHTINGS + 1]  # asked.json comes first
        if len(files) > limits.SIGHTINGS + 1:
            why = f"there are over {limits.SIGHTINGS} beside it"
            damaged.append(_strange(store, files[-1], why))
    return kept, damaged


def _strange(store: Store, key: str, why: str) -> InvalidRecord:
    return InvalidRecord(
        f"{store.url}/{key} is not read: {why}", "it was put there by hand: remove it"
    )


def _read(store: Store, key: str, run: str, number: int) -> Asked | Up | Gone:
    name = key.removeprefix(layout.launch_prefix(run, number))
    if name == "asked.json":
        return _load(store, key, Asked, run, number)
    if name.startswith("up-"):
        return _load(store, key, Up, run, number)
    return _load(store, key, Gone, run, number)


def _load(store: Store, key: str, kind: type[LedgerRecord], run: str, number: int) -> LedgerRecord:
    record = read_record(store, kind, run, key)
    if record.launch != number:
        raise InvalidRecord(
            f"{store.url}/{key} says that it is about launch {record.launch}",
            "it was moved or changed by hand",
        )
    return record


def _sort_in(
    record: Asked | Up | Gone,
    asked: dict[int, Asked],
    ups: defaultdict[int, list[Up]],
    gones: defaultdict[int, list[Gone]],
) -> None:
    if isinstance(record, Asked):
        asked[record.launch] = record
    elif isinstance(record, Up):
        ups[record.launch].append(record)
    else:
        gones[record.launch].append(record)
