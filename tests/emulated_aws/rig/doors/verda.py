"""Verda's REST API, as far as SkyPilot and an instance that ends itself ask.

Three things matter for the bill, and are as they are there: an instance that is shut down is still
billed; its disk is a thing of its own, which `delete` takes along and the end of a spot instance
leaves; and what was deleted is no longer listed.
"""

from __future__ import annotations

import secrets
import time
import uuid
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from typing import Any, ClassVar

from rig.doors.stock import Refused, Rented, Stock
from rig.sites import Answer, Request
from rig.wanted import Wanted

CLIENT_ID, CLIENT_SECRET = "emulated-client", "only-verda-knows-this-secret"


def refusal(status: int, code: str, message: str) -> Answer:
    return Answer(status, {"code": code, "message": message})


TOO_OFTEN = refusal(429, "too_many_requests", "Too many requests")
SOLD_OUT = refusal(503, "service_unavailable", "Not enough resources")
NO_BALANCE = refusal(402, "insufficient_funds", "Not enough funds to complete this action")
WRONG_KEY = refusal(401, "unauthorized_request", "Invalid client id or client secret")
NOT_FOUND = refusal(404, "not_found", "Not found")
KEPT = refusal(400, "invalid_request", "Instance cannot be deleted at this moment")


@dataclass
class Volume:
    id: str
    name: str
    size: int
    instance_id: str
    status: str = "attached"
    """attached, detached (billed on), deleted"""


@dataclass
class Verda:
    """A site of the internet, and a door for the hypervisor."""

    name: ClassVar = "verda"
    host: ClassVar = "api.verda.com"
    too_often: ClassVar = TOO_OFTEN

    stock: Stock = field(default_factory=Stock)
    volumes: dict[str, Volume] = field(default_factory=dict[str, Volume])
    """by instance"""
    _tokens: set[str] = field(default_factory=set[str])
    _keys: dict[str, dict[str, str]] = field(default_factory=dict[str, dict[str, str]])

    def wanted(self) -> Iterable[Wanted]:
        with self.stock.lock:
            for one in self.stock.living():
                self._go_on(one)
            return [_wanted(one) for one in self.stock.living() if one.status == "running"]

    def note_power_off(self, instance_id: str) -> None:
        with self.stock.lock:
            self.stock.rented[instance_id].status = "offline"

    def take(self, instance_id: str) -> None:
        """The spot market does; the disk stays, since SkyPilot asks for nothing else."""
        with self.stock.lock:
            self.volumes[instance_id].status = "detached"
            self.stock.rented[instance_id].end("discontinued", "the spot market")

    def answer(self, request: Request) -> Answer:
        path = request.path.removeprefix("/v1")
        if path == "/oauth2/token":
            return self._token(request.body)
        if request.key not in self._tokens:
            return WRONG_KEY
        parts = path.strip("/").split("/")
        return self._read(parts) if request.verb == "GET" else self._write(parts, request)

    def _read(self, parts: list[str]) -> Answer:
        match parts:
            case ["instances"]:
                return Answer(200, [_shown(one) for one in self.stock.living()])
            case ["instances", instance_id]:
                return Answer(200, _shown(self._find(instance_id)))
            case ["ssh-keys"]:
                return Answer(200, list(self._keys.values()))
            case ["volumes"]:
                return Answer(200, [asdict(one) for one in self.volumes.values()])
            case ["instance-availability", _]:
                return Answer(200, not self.stock.faults.sold_out)
            case ["balance"]:
                amount = 0.0 if self.stock.faults.without_balance else 25.0
                return Answer(200, {"amount": amount, "currency": "usd"})
            case _:
                return NOT_FOUND

    def _write(self, parts: list[str], request: Request) -> Answer:
        match request.verb, parts:
            case "POST", ["instances"]:
                return Answer(202, self._order(request.body))
            case "PUT", ["instances"]:
                return self._act(request.body)
            case "POST", ["ssh-keys"]:
                return Answer(201, self._add_key(request.body))
            case _:
                return NOT_FOUND

    def _token(self, asked: dict[str, str]) -> Answer:
        account = (CLIENT_ID, CLIENT_SECRET)
        by_secret = (asked.get("client_id"), asked.get("client_secret")) == account
        if not by_secret and asked.get("refresh_token") not in self._tokens:
            return WRONG_KEY
        access, refresh = secrets.token_hex(), secrets.token_hex()
        self._tokens |= {access, refresh}
        tokens = {"access_token": access, "refresh_token": refresh, "expires_in": 3600}
        return Answer(200, tokens | {"scope": "cloud-api-v1", "token_type": "Bearer"})

    def _order(self, asked: dict[str, Any]) -> str:
        if self.stock.faults.sold_out:
            raise Refused(SOLD_OUT)
        if self.stock.faults.without_balance:
            raise Refused(NO_BALANCE)
        one = Rented(
            id=str(uuid.uuid4()),
            name=asked["hostname"],
            kind=asked["instance_type"],
            spot=asked["is_spot"],
            status="ordered",
            public_keys=tuple(self._keys[key]["key"] for key in asked["ssh_key_ids"]),
        )
        self.stock.add(one)
        volume = Volume(
            str(uuid.uuid4()), asked["os_volume"]["name"], asked["os_volume"]["size"], one.id
        )
        self.volumes[one.id] = volume
        return one.id

    def _act(self, asked: dict[str, Any]) -> Answer:
        for instance_id in [asked["id"]] if isinstance(asked["id"], str) else asked["id"]:
            one = self._find(instance_id)
            if one.ended_at is not None:
                return NOT_FOUND
            match asked["action"]:
                case "delete" | "discontinue":
                    if one.id in self.stock.faults.keeps:
                        return KEPT
                    self.volumes[one.id].status = "deleted"
                    one.end("deleted", "the API")
                case "shutdown" | "force_shutdown":
                    one.status = "offline"
                case "start":
                    one.status = "running"
                case other:
                    return refusal(400, "invalid_request", f"no action {other}")
        return Answer(202, "")

    def _find(self, instance_id: str) -> Rented:
        if instance_id not in self.stock.rented:
            raise Refused(NOT_FOUND)
        return self.stock.rented[instance_id]

    def _add_key(self, asked: dict[str, str]) -> str:
        key_id = str(uuid.uuid4())
        self._keys[key_id] = {"id": key_id, "name": asked["name"], "key": asked["key"]}
        return key_id

    def _go_on(self, one: Rented) -> None:
        if one.status == "ordered":
            one.status = "provisioning"
        elif one.status == "provisioning" and one.has_had_time_to_boot:
            one.status = one.status if self.stock.faults.never_ready else "running"


def _shown(one: Rented) -> dict[str, object]:
    return {
        "id": one.id,
        "hostname": one.name,
        "instance_type": one.kind,
        "is_spot": one.spot,
        "status": one.status,
        "ip": one.address,
        "created_at": time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime(one.ordered_at)),
    }


def _wanted(one: Rented) -> Wanted:
    return Wanted(one.id, one.name, (one.address,), one.public_keys, user="root")
