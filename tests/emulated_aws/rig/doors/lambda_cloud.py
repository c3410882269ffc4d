"""Lambda's REST API, as far as SkyPilot asks. What is terminated is still listed for some seconds,
and a list of no instances cannot be terminated."""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, ClassVar

from rig.doors.stock import Refused, Rented, Stock
from rig.sites import Answer, Request
from rig.wanted import Wanted

KEY = "secret_only-lambda-knows-this"
REGIONS = ("us-east-1", "us-west-3")
TERMINATES_SECONDS = 3.0


def refusal(status: int, code: str, message: str) -> Answer:
    return Answer(status, {"error": {"code": code, "message": message}})


TOO_OFTEN = refusal(429, "global/rate-limited", "Your API requests are being rate limited.")
WRONG_KEY = refusal(401, "global/invalid-api-key", "API key was invalid, expired, or deleted.")
NO_BALANCE = refusal(
    403, "global/account-inactive", "Your account is inactive. Please add a payment method."
)
NOT_FOUND = refusal(404, "global/object-does-not-exist", "Specified instance does not exist.")
NOTHING_NAMED = refusal(
    400, "global/invalid-parameters", "Invalid request data. instance_ids: must not be empty"
)
KEPT = refusal(500, "global/internal-error", "The instance could not be terminated.")


@dataclass
class Lambda:
    """A site of the internet, and a door for the hypervisor."""

    name: ClassVar = "lambda"
    host: ClassVar = "cloud.lambdalabs.com"
    too_often: ClassVar = TOO_OFTEN

    stock: Stock = field(default_factory=Stock)
    _keys: dict[str, str] = field(default_factory=dict[str, str])

    def wanted(self) -> Iterable[Wanted]:
        with self.stock.lock:
            for one in self.stock.living():
                ready = one.has_had_time_to_boot and not self.stock.faults.never_ready
                if one.status == "booting" and ready:
                    one.status = "active"
            return [_wanted(one) for one in self.stock.living() if one.status == "active"]

    def note_power_off(self, instance_id: str) -> None:
        with self.stock.lock:
            self.stock.rented[instance_id].status = "unhealthy"

    def answer(self, request: Request) -> Answer:
        if request.key != KEY:
            return WRONG_KEY
        return self._ask(request)

    def _ask(self, request: Request) -> Answer:
        match request.verb, request.path.removeprefix("/api/v1/"):
            case "GET", "instances":
                return _data([_shown(one) for one in self.stock.rented.values() if _is_listed(one)])
            case "GET", "ssh-keys":
                return _data(
                    [{"name": name, "public_key": key} for name, key in self._keys.items()]
                )
            case "POST", "ssh-keys":
                self._keys[request.body["name"]] = request.body["public_key"]
                return _data({"name": request.body["name"]})
            case "GET", "instance-types":
                free = [] if self.stock.faults.sold_out else [{"name": one} for one in REGIONS]
                return _data({"gpu_1x_h100_pcie": {"regions_with_capacity_available": free}})
            case "GET", "firewall-rules":
                return _data([])
            case "POST", "instance-operations/launch":
                return _data({"instance_ids": [self._order(request.body)]})
            case "POST", "instance-operations/terminate":
                return self._terminate(request.body["instance_ids"])
            case _:
                return NOT_FOUND

    def _order(self, asked: dict[str, Any]) -> str:
        if self.stock.faults.without_balance:
            raise Refused(NO_BALANCE)
        one = Rented(
            id=uuid.uuid4().hex,
            name=asked["name"],
            kind=asked["instance_type_name"],
            spot=False,
            status="booting",
            public_keys=tuple(self._keys[name] for name in asked["ssh_key_names"]),
        )
        self.stock.add(one)
        return one.id

    def _terminate(self, ids: list[str]) -> Answer:
        if not ids:
            return NOTHING_NAMED
        for instance_id in ids:
            if instance_id not in self.stock.rented:
                return NOT_FOUND
            if instance_id in self.stock.faults.keeps:
                return KEPT
            self.stock.rented[instance_id].end("terminating", "the API")
        return _data({"terminated_instances": [{"id": one} for one in ids]})


def _data(content: object) -> Answer:
    return Answer(200, {"data": content})


def _is_listed(one: Rented) -> bool:
    return one.ended_at is None or time.time() - one.ended_at < TERMINATES_SECONDS


def _shown(one: Rented) -> dict[str, object]:
    return {
        "id": one.id,
        "name": one.name,
        "ip": one.address,
        "private_ip": one.address,
        "status": one.status,
        "instance_type": {"name": one.kind},
    }


def _wanted(one: Rented) -> Wanted:
    return Wanted(one.id, one.name, (one.address,), one.public_keys)
