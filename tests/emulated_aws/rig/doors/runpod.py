"""RunPod's GraphQL, as far as its library, SkyPilot and a pod that ends itself ask.

A pod has a key of its own in its environment, which opens that pod alone. Whoever orders one may
say when the seller is to take it (`terminateAfter`). A pod that was outbid is `EXITED`: its disk
is billed on, and it is still listed.
"""

from __future__ import annotations

import json
import re
import secrets
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import ClassVar

from rig.doors.stock import Refused, Rented, Stock
from rig.sites import Answer, Request
from rig.wanted import Wanted

KEY = "rpa_ONLYRUNPODKNOWSTHISKEY"
SSH_PORT = 10022
"""what the pod's port 22 is from outside; its server listens on both, for there is no NAT"""
OTHER_PORT = 18266
FIELD = re.compile(r'(\w+): ("(?:[^"\\]|\\.)*"|[\w.-]+)')
"""of an order, in the notation of GraphQL"""
MEMORY_GB = 80


def refusal(message: str, status: int = 200) -> Answer:
    return Answer(status, {"errors": [{"message": message}]})


TOO_OFTEN = refusal("Too many requests", 429)
WRONG_KEY = refusal("Unauthorized", 401)
NOT_THIS_POD = refusal("Unauthorized to access this pod")
SOLD_OUT = refusal(
    "There are no longer any instances available with the requested specifications. "
    "Please refresh and try again."
)
NO_BALANCE = refusal("Your account balance is too low to rent this pod. Please add funds.")
NOT_FOUND = refusal("pod not found to terminate")
KEPT = refusal("Something went wrong. Please try again later or contact support.")


@dataclass
class RunPod:
    """A site of the internet, and a door for the hypervisor."""

    name: ClassVar = "runpod"
    host: ClassVar = "api.runpod.io"
    too_often: ClassVar = TOO_OFTEN

    stock: Stock = field(default_factory=Stock)
    _public_key: str = ""
    _taken_at: dict[str, float] = field(default_factory=dict[str, float])
    """when the seller itself takes a pod"""
    _unreachable: set[str] = field(default_factory=set[str])

    def wanted(self) -> Iterable[Wanted]:
        with self.stock.lock:
            self._end_what_is_over()
            return [_wanted(one) for one in self.stock.living() if one.status == "RUNNING"]

    def note_power_off(self, instance_id: str) -> None:
        with self.stock.lock:
            self.stock.rented[instance_id].status = "EXITED"

    def take(self, instance_id: str) -> None:
        """Somebody bid more."""
        self.note_power_off(instance_id)

    def _end_what_is_over(self) -> None:
        for one in self.stock.living():
            if time.time() > self._taken_at.get(one.id, float("inf")):
                one.end("TERMINATED", "terminateAfter")

    def answer(self, request: Request) -> Answer:
        self._end_what_is_over()
        if request.path != "/graphql":
            return refusal("Not found", 404)
        query = request.body["query"]
        about = re.search(r'podId: "(\w+)"', query)
        pod_id = about[1] if about else ""
        if request.key != KEY:
            owners = {one.key: one.id for one in self.stock.living()}
            if request.key not in owners:
                return WRONG_KEY
            if owners[request.key] != pod_id:
                return NOT_THIS_POD
        by = "the account's key" if request.key == KEY else "its own key"
        return self._ask(query, pod_id, by)

    def _ask(self, query: str, pod_id: str, by: str) -> Answer:
        match _first_of(query, FIELDS):
            case "podTerminate":
                return self._terminate(pod_id, by)
            case "podFindAndDeployOnDemand" | "podRentInterruptable" as ordered:
                return _data({ordered: self._order(query, ordered == "podRentInterruptable")})
            case "updateUserSettings":
                [self._public_key] = re.findall(r'pubKey: "([^"]*)"', query)
                return _data({"updateUserSettings": {"id": "u", "pubKey": self._public_key}})
            case "gpuTypes":
                [name] = re.findall(r'id: "([^"]+)"', query)
                return _data({"gpuTypes": [{"id": name, "memoryInGb": MEMORY_GB}]})
            case "podTemplates":
                return _data({"myself": {"podTemplates": []}})
            case "pods":
                return _data(
                    {"myself": {"pods": [self._shown(one) for one in self.stock.living()]}}
                )
            case _:
                return _data({"myself": self._account()})

    def _account(self) -> dict[str, object]:
        balance = 0.0 if self.stock.faults.without_balance else 25.0
        about = {"id": "u", "pubKey": self._public_key, "networkVolumes": []}
        return about | {"clientBalance": balance}

    def _order(self, query: str, spot: bool) -> dict[str, object]:
        if self.stock.faults.sold_out:
            raise Refused(SOLD_OUT)
        if self.stock.faults.without_balance:
            raise Refused(NO_BALANCE)
        # GraphQL takes one level of quotation marks away.
        asked = {
            name: json.loads(text) if text.startswith('"') else text
            for name, text in FIELD.findall(query)
        }
        one = Rented(
            id=secrets.token_hex(7),
            name=asked["name"],
            kind=asked["gpuTypeId"],
            spot=spot,
            status="RUNNING",
            command=asked["dockerArgs"],
            key=f"rpa_{secrets.token_hex()}",
        )
        self.stock.add(one)
        if self.stock.faults.never_ready:
            self._unreachable.add(one.id)
        if "terminateAfter" in asked:
            self._taken_at[one.id] = datetime.fromisoformat(asked["terminateAfter"]).timestamp()
        return {"id": one.id, "desiredStatus": one.status, "machineId": "m"}

    def _terminate(self, pod_id: str, by: str) -> Answer:
        one = self.stock.rented.get(pod_id)
        if one is None or one.ended_at is not None:
            return NOT_FOUND
        if pod_id in self.stock.faults.keeps:
            return KEPT
        one.end("TERMINATED", by)
        return _data({"podTerminate": None})

    def _shown(self, one: Rented) -> dict[str, object]:
        is_reachable = one.has_had_time_to_boot and one.id not in self._unreachable
        runs = one.status == "RUNNING" and is_reachable
        return {
            "id": one.id,
            "name": one.name,
            "desiredStatus": one.status,
            "vcpuCount": 4,
            "costPerHr": 1.39,
            "runtime": {"ports": _ports(one)} if runs else None,
            "machine": {"gpuDisplayName": one.kind},
        }


FIELDS = (
    *("podTerminate", "podFindAndDeployOnDemand", "podRentInterruptable", "updateUserSettings"),
    *("gpuTypes", "podTemplates", "pods"),
)


def _first_of(query: str, words: Iterable[str]) -> str:
    """Which of the words the query asks for, if any."""
    return next((word for word in words if re.search(rf"\b{word}\b", query)), "")


def _data(content: object) -> Answer:
    return Answer(200, {"data": content})


def _ports(one: Rented) -> list[dict[str, object]]:
    ssh = {"ip": one.address, "isIpPublic": True, "privatePort": 22, "publicPort": SSH_PORT}
    ray = {"ip": "100.65.0.1", "isIpPublic": False, "privatePort": 8266, "publicPort": OTHER_PORT}
    return [ssh | {"type": "tcp"}, ray | {"type": "http"}]


def _wanted(one: Rented) -> Wanted:
    given = {
        "RUNPOD_POD_ID": one.id,
        "RUNPOD_API_KEY": one.key,
        "RUNPOD_PUBLIC_IP": one.address,
        "RUNPOD_TCP_PORT_22": str(SSH_PORT),
    }
    return Wanted(
        id=one.id,
        name=one.id,
        addresses=(one.address,),
        user="root",
        ssh_ports=(22, SSH_PORT),
        environment=given,
        command=one.command,
    )
