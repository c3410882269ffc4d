"""The ledger of a run: which laptop requested which instance on which terms, and its lifetime.

Every file is written once, by one writer. `asked.json` takes a launch number before anything is
rented, so if two laptops launch a run at once, exactly one gets the number.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Annotated, Literal, TypeVar

from pydantic import Field, ValidationError

from fintts_store import layout
from fintts_store.errors import InvalidRecord, KeyExists, KeyNotFound, LaunchTaken
from fintts_store.runs import limits
from fintts_store.runs.fields import HourlyRate, Moment, Name, Seconds, Usd
from fintts_store.runs.fields import Launch as LaunchNumber
from fintts_store.runs.laptop import UNKNOWN_LAPTOP, Laptop
from fintts_store.runs.noted_process import NotedProcess
from fintts_store.runs.reading import read_record
from fintts_store.runs.record import OfRun, Record
from fintts_store.store import Store

Reserve = Annotated[Seconds, Field(le=limits.RESERVE_SECONDS)]
LedgerRecord = TypeVar("LedgerRecord", "Asked", "Up", "Gone")


class Evidence(StrEnum):
    """The evidence for an end, the most certain first."""

    CLOUD = "cloud"
    """the instance was removed, or the cloud did not list it"""
    RESULT = "result"
    HEARTBEAT = "heartbeat"
    """read but never written: a last heartbeat does not prove an end, and is ignored"""
    DEADLINE = "deadline"
    """not observed: the latest possible moment"""


SURE = (Evidence.CLOUD, Evidence.RESULT)
"""ends that were observed"""


class Earlier(Record):
    """The cost of instances that a version without a ledger requested."""

    seconds: Seconds
    usd: Usd
    is_at_most: bool


class Asked(OfRun):
    """asked.json: one launch, recorded before anything was rented."""

    launch: LaunchNumber
    asker: Laptop
    requested_at: Moment
    infra: Name
    rates_usd: Annotated[dict[Name, HourlyRate], Field(min_length=1, max_length=limits.RENTALS)]
    """the hourly rate of each possible GPU"""
    spot: bool = False
    deadline_at: Moment
    """when the trainer must have ended"""
    reserve_seconds: Reserve
    """after the deadline, for the last save and the teardown: nothing bills beyond it"""
    teardown_seconds: Reserve = 0.0
    """the longest that an instance outlives the trainer's last record"""
    launch_patience_seconds: Reserve = 0.0
    """how long its instance may take to become ready"""
    earlier: Earlier | None = None
    pid: Annotated[int, Field(ge=0, le=limits.COUNT)] | None = None
    """of the launching process; for versions without `asked_by`"""
    asked_by: NotedProcess | None = None
    """the launching process; None in a file of a version that recorded only its id"""

    @property
    def process(self) -> NotedProcess | None:
        """The launching process; an earlier version recorded its id and its laptop's name."""
        if self.asked_by is not None or self.pid is None:
            return self.asked_by
        return NotedProcess(pid=self.pid, host=self.asker.host)

    @property
    def over_at(self) -> datetime:
        """The moment after which nothing of the launch bills, whatever laptops and trainer do."""
        return max(self.deadline_at, self.requested_at) + timedelta(seconds=self.reserve_seconds)


class Up(OfRun):
    """up-….json: the instance is up."""

    kind: Literal["up"] = "up"
    launch: LaunchNumber
    at: Moment
    """since when"""
    gpus: Name | None = None
    """the instance's GPUs, as in `--gpus`"""
    seen_by: Laptop


class Gone(OfRun):
    """gone-….json: the instance is gone. If a spot run looks for another one, this is written when
    the other one is up, or when none comes."""

    kind: Literal["gone"] = "gone"
    launch: LaunchNumber
    at: Moment
    """the latest moment of the end"""
    evidence: Evidence
    alive_at: Moment | None = None
    """the last moment that the instance was seen alive"""
    hourly_rate_usd: HourlyRate | None = None
    """the hourly rate, by the cloud's own price history"""
    seen_by: Laptop


@dataclass(frozen=True, slots=True)
class Launch:
    """The ledger's records of one launch; `asked` is None if its file is damaged.

    `gones` holds observed ends only.
    """

    number: int
    asked: Asked | None
    ups: tuple[Up, ...] = ()
    gones: tuple[Gone, ...] = ()

    @property
    def standing_gones(self) -> tuple[Gone, ...]:
        """The ends after the last sighting; an earlier one was a look before the instance came."""
        came = max((up.at for up in self.ups), default=None)
        return tuple(each for each in self.gones if came is None or each.at >= came)

    @property
    def is_known_gone(self) -> bool:
        """Whether the cloud did not list the instance after it was last seen up."""
        return any(each.evidence == Evidence.CLOUD for each in self.standing_gones)


@dataclass(frozen=True, slots=True)
class Ledger:
    """All launches of a run, the oldest first."""

    launches: tuple[Launch, ...] = ()
    damaged: tuple[InvalidRecord, ...] = ()
    """one error for each unreadable file"""

    @property
    def newest(self) -> Launch | None:
        """The launch with the highest number."""
        return self.launches[-1] if self.launches else None

    @property
    def next_number(self) -> int:
        """The next launch number."""
        return self.launches[-1].number + 1 if self.launches else 1


def take_launch(store: Store, asked: Asked) -> int:
    """Takes the launch number in `asked`; of concurrent callers exactly one succeeds.

    Raises:
        LaunchTaken: another laptop has the number; the message says which.
        StoreError: the store cannot be written.
    """
    key = layout.asked_key(asked.run, asked.launch)
    try:
        store.create(key, asked.dump().encode())
    except KeyExists:
        other = _holder(store, key, asked)
        if other != asked:  # otherwise an earlier try succeeded, and its answer was lost
            raise LaunchTaken(_taken_by(other, asked.run), _HINT) from None
    return asked.launch


_HINT = "`fintts cloud ps` shows its state; --name starts another run"


def _holder(store: Store, key: str, asked: Asked) -> Asked | None:
    try:
        return _load(store, key, Asked, asked.run, asked.launch)
    except (InvalidRecord, KeyNotFound):
        return None


def _taken_by(other: Asked | None, run: str) -> str:
    if other is None:
        return f"another laptop just launched run {run}"
    when = f"{other.requested_at.astimezone(UTC):%H:%M:%S} UTC"
    return f"{other.asker.host} already launched run {run} at {when}"


def withdraw_launch(store: Store, run: str, launch: int) -> None:
    """Removes a launch that never rented anything, together with its run."""
    asked = layout.asked_key(run, launch)
    for entry in store.list(layout.launch_prefix(run, launch)):
        if entry.key != asked:
            store.delete(entry.key)
    store.delete(asked)  # last, since it holds the number


def write_sighting(store: Store, seen: Up | Gone) -> None:
    """Writes a sighting, unless this laptop has written the same before."""
    key = layout.sighting_key(seen.run, seen.launch, seen.kind, seen.at, seen.seen_by.writer)
    try:
        store.create(key, seen.dump().encode())
    except KeyExists:
        return


def read_ledger(store: Store, run: str) -> Ledger:
    """The whole ledger; damaged files are named, and their launches still count.

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
                ups[number] += _up_by_key_name(run, number, key)
            except KeyNotFound:  # withdrawn since the listing
                continue
    launches = tuple(
        Launch(number, asked.get(number), tuple(ups[number]), tuple(_seen(gones[number])))
        for number in by_launch
    )
    return Ledger(launches, tuple(damaged))


def _seen(gones: Iterable[Gone]) -> Iterator[Gone]:
    return (each for each in gones if each.evidence in SURE)


def _up_by_key_name(run: str, number: int, key: str) -> list[Up]:
    """The sighting that a damaged file's name still gives; without it, a look before the instance
    came would count as its end."""
    try:
        at = layout.seen_up_at(run, key)
        return [] if at is None else [Up(run=run, launch=number, at=at, seen_by=UNKNOWN_LAPTOP)]
    except ValidationError:  # the year is out of range
        return []


def _by_launch(
    store: Store, run: str, keys: Iterable[str]
) -> tuple[dict[int, list[str]], list[InvalidRecord]]:
    """The files of each launch, in order, without those that no laptop can have written."""
    found: defaultdict[int, list[str]] = defaultdict(list)
    for key in keys:
        number = layout.launch_of(run, key)
        if number:  # otherwise it was put there by hand
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
        f"{store.url}/{key} is ignored: {why}", "it was put there by hand; remove it"
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
            f"{store.url}/{key} is the record of launch {record.launch}",
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
