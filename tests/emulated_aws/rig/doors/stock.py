"""What a seller has rented out, and how it fails when a test wants it to."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, ClassVar, Protocol

from rig import network
from rig.sites import Answer, Request, Site
from rig.wanted import Door

BOOT_SECONDS = 1.0


class Refused(Exception):
    """The seller says no, in the words of its API."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(str(answer.body))
        self.answer = answer


@dataclass
class Rented:
    """An instance from the order on; it is billed until it has an end."""

    id: str
    name: str
    kind: str
    """of the machine, in the seller's words"""
    spot: bool
    status: str
    """in the seller's words"""
    public_keys: tuple[str, ...] = ()
    command: str | None = None
    """a container's"""
    key: str = ""
    """its own, with which it can reach the seller"""
    address: str = field(default_factory=network.new_address)
    ordered_at: float = field(default_factory=time.time)
    ended_at: float | None = None
    ended_by: str = ""

    @property
    def has_had_time_to_boot(self) -> bool:
        return time.time() - self.ordered_at > BOOT_SECONDS

    def end(self, status: str, by: str) -> None:
        self.status, self.ended_at, self.ended_by = status, time.time(), by


@dataclass
class Faults:
    """What goes wrong at this seller; all of it is off until a test says otherwise."""

    sold_out: bool = False
    without_balance: bool = False
    never_ready: bool = False
    """what is ordered from now on stays unreachable, and is billed"""
    keeps: list[str] = field(default_factory=list[str])
    """ids of instances that it refuses to delete"""
    slow_seconds: float = 0.0
    """before each answer"""
    throttled: int = 0
    """so many requests are answered by 429"""


@dataclass
class Stock:
    """Of one seller; whoever reads or changes it holds `lock`."""

    rented: dict[str, Rented] = field(default_factory=dict[str, Rented])
    faults: Faults = field(default_factory=Faults)
    calls: list[tuple[float, str, str, str, int]] = field(default_factory=list[Any])
    """when, from where, with which key, what, and the status of the answer"""
    lock: threading.RLock = field(default_factory=threading.RLock)

    def living(self) -> Iterable[Rented]:
        with self.lock:
            return [one for one in self.rented.values() if one.ended_at is None]

    def add(self, one: Rented) -> None:
        with self.lock:
            self.rented[one.id] = one


class Seller(Site, Door, Protocol):
    """A cloud with a list of what it has rented out."""

    name: ClassVar[str]
    """in SkyPilot's words"""
    host: ClassVar[str]
    """of its API"""
    too_often: ClassVar[Answer]
    """what it tells whom it turns away"""

    @property
    def stock(self) -> Stock: ...


class Counter:
    """Before a seller's own site: is slow, turns away who asks too often, and notes every call."""

    def __init__(self, seller: Seller) -> None:
        self._seller, self._stock = seller, seller.stock

    def answer(self, request: Request) -> Answer:
        faults = self._stock.faults
        time.sleep(faults.slow_seconds)
        with self._stock.lock:
            turned_away = faults.throttled > 0
            faults.throttled -= turned_away
        answer = self._seller.too_often if turned_away else self._asked(request)
        what = f"{request.verb} {request.path} {request.body or ''}"
        call = (time.time(), request.caller, request.key, what, answer.status)
        self._stock.calls.append(call)
        return answer

    def _asked(self, request: Request) -> Answer:
        try:
            with self._stock.lock:
                return self._seller.answer(request)
        except Refused as refused:
            return refused.answer
