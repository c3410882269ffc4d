"""A seller of the emulated clouds as a test sees it: what is rented, and what goes wrong."""

from __future__ import annotations

import json
import re
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from rig import console


@dataclass(frozen=True)
class RentedFacts:
    """What the seller says of an instance, ended ones included."""

    id: str
    name: str
    kind: str
    status: str
    spot: bool
    ordered_at: float
    ended_at: float | None
    ended_by: str
    address: str

    @property
    def is_billed(self) -> bool:
        return self.ended_at is None

    @property
    def run(self) -> str:
        """That it was rented for, as its name tells: fintts-RUN-xDEADLINE-USER-head."""
        found = re.fullmatch(r"fintts-(.+)-x[0-9a-f]{8}-[0-9a-f]{8}-head", self.name)
        return found[1] if found else f"none in {self.name}"


@dataclass(frozen=True)
class Call:
    """One that the seller answered."""

    at: float
    caller: str
    key: str
    what: str
    status: int


@dataclass(frozen=True)
class Seller:
    """By its name in SkyPilot; the rig has to be up."""

    name: str

    def rented(self) -> list[RentedFacts]:
        """The oldest first."""
        names = RentedFacts.__dataclass_fields__
        return [
            RentedFacts(**{name: one[name] for name in names}) for one in self._ask("")["rented"]
        ]

    def billed(self) -> list[str]:
        """Ids of what has no end yet."""
        return [one.id for one in self.rented() if one.is_billed]

    def of_run(self, run: str) -> list[RentedFacts]:
        """The oldest first, ended ones included."""
        return [one for one in self.rented() if one.run == run]

    def volumes(self) -> list[dict[str, Any]]:
        """Disks that are things of their own, with their status."""
        volumes: list[dict[str, Any]] = self._ask("")["volumes"]
        return volumes

    def calls(self) -> list[Call]:
        return [Call(*one) for one in self._ask("")["calls"]]

    def set_status(self, instance_id: str, status: str) -> None:
        """In the seller's words; nothing else happens."""
        self._ask("status", {"id": instance_id, "status": status})

    def take(self, instance_id: str) -> None:
        """The spot market does."""
        self._ask("take", {"id": instance_id})

    def remove_all(self) -> None:
        """What a test left."""
        self._ask("clear", {})

    @contextmanager
    def with_faults(self, **faults: object) -> Iterator[None]:
        """Within the block these go wrong (`rig.doors.stock.Faults`)."""
        self._ask("faults", faults)
        try:
            yield
        finally:
            self._ask("no-faults", {})

    def _ask(self, what: str, body: object = None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"{console.URL}/{self.name}/{what}", data)
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.load(answer)
