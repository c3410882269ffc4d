"""An instance that does not become ready is taken back, and the next place is tried."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from math import inf
from threading import Event
from types import SimpleNamespace
from typing import Any

import pytest

from fake_task import Resources, Task
from fintts_cli.errors import CloudError
from fintts_cli.infra.sky.launch.asked_task import read_task
from fintts_cli.infra.sky.launch.launch_patience import launch_patiently
from fintts_cli.infra.sky.rentals.record import SkyRecord
from fintts_cli.infra.sky.rentals.rental import rental_of
from fintts_cli.prices.source import PriceList
from fintts_cost.prices.offer import PriceRow


class Cancelled(Exception):
    """What SkyPilot raises for a cancelled request."""


@dataclass
class Sky:
    """Boots in some places and waits for ever in others."""

    boots: set[str]
    StatusRefreshMode: Any = field(default_factory=lambda: SimpleNamespace(NONE="none"))
    exceptions: Any = field(default_factory=lambda: SimpleNamespace(ClusterDoesNotExist=KeyError))
    ClusterStatus: Any = field(default_factory=lambda: SimpleNamespace(UP="UP", INIT="INIT"))
    asked: list[str] = field(default_factory=list[str])
    where: str | None = None
    cancelled: Event = field(default_factory=Event)
    fails: Exception | None = None

    def launch(self, task: Task, *, cluster_name: str) -> str:
        self.where = (task.resources[0].infra or "runpod/CA").lower()
        self.asked.append(self.where)
        self.cancelled = Event()
        return self.where

    def stream_and_get(self, request: str) -> None:
        if self.fails is not None:
            raise self.fails
        if request not in self.boots:
            assert self.cancelled.wait(30)
            raise Cancelled

    def status(self, names: list[str], *, refresh: str) -> list[Any]:
        assert (names, refresh) == (["fintts-mine"], "none")
        cloud, _, region = (self.where or "").partition("/")
        status = "UP" if self.where in self.boots else "INIT"
        return [SimpleNamespace(cloud=cloud, region=region, status=status)] if self.where else []

    def api_cancel(self, request: str) -> None:
        assert request == self.where
        self.cancelled.set()

    def get(self, answer: Any) -> Any:
        return answer


class Offers:
    def __init__(self, *places: tuple[str, str, str]) -> None:
        self.places = places

    def prices(self, accelerator: str, cloud: str | None) -> PriceList:
        rows = [
            PriceRow(name, "m", accelerator, 1, Decimal(rate), None, "a test", "2026-11-24", region)
            for name, region, rate in self.places
            if cloud in (None, name)
        ]
        return PriceList(rows, "a test")


PLACES = Offers(
    ("runpod", "CA", "1.39"),
    ("runpod", "US", "1.49"),
    ("lambda", "us-east-1", "1.79"),
    ("aws", "us-east-1", "9.00"),
    ("verda", "FIN-01", "1.29"),  # which SkyPilot takes only by name
)


RECORD = SkyRecord(run="mine", cluster="fintts-mine", requested_at=datetime.now(UTC))


def launch(sky: Sky, task: Task, taken_back: list[str], limit_seconds: float = 0.01) -> None:
    said: list[str] = []

    def take_back(record: SkyRecord) -> None:
        assert record == RECORD
        assert sky.cancelled.is_set()
        taken_back.append(sky.where or "")
        sky.where = None

    launch_patiently(
        sky,
        task,
        rental_of(RECORD),
        RECORD,
        limit_seconds,
        PLACES,
        take_back=take_back,
        renew=lambda record: record,
        note=said.append,
        poll_seconds=0.001,
    )
    assert said == [
        f"no instance became ready in {where}; it is taken back" for where in taken_back
    ]


def test_an_instance_that_is_not_ready_in_time_is_taken_back_and_the_next_place_tried() -> None:
    sky, taken_back = Sky(boots={"lambda/us-east-1"}), list[str]()
    launch(sky, Task(Resources({"A100-80GB": 1})), taken_back)
    assert sky.asked == ["runpod/ca", "runpod/us", "lambda/us-east-1"]
    assert taken_back == ["runpod/ca", "runpod/us"]


def test_nothing_is_left_when_no_place_makes_an_instance_ready() -> None:
    sky, taken_back = Sky(boots=set()), list[str]()
    with pytest.raises(CloudError, match="no instance became ready within 0 minutes") as refused:
        launch(sky, Task(Resources({"A100-80GB": 1})), taken_back)
    assert taken_back == ["runpod/ca", "runpod/us", "lambda/us-east-1"]
    assert "runpod/ca, runpod/us, lambda/us-east-1" in refused.value.message
    assert "--launch-patience-seconds" in refused.value.hint


def test_a_place_that_was_named_stays_the_only_one() -> None:
    sky, taken_back = Sky(boots={"lambda/us-east-1"}), list[str]()
    named = Resources({"A100-80GB": 1}, infra="runpod/CA", cloud="RunPod", region="CA")
    with pytest.raises(CloudError, match="no instance became ready"):
        launch(sky, Task(named), taken_back)
    assert sky.asked == ["runpod/ca"]


def test_one_that_is_ready_and_one_that_fails_are_not_taken_back() -> None:
    sky, taken_back = Sky(boots={"runpod/ca"}), list[str]()
    launch(sky, Task(Resources({"A100-80GB": 1})), taken_back, limit_seconds=60)
    sky.fails = RuntimeError("set-up failed")
    with pytest.raises(RuntimeError, match="set-up failed"):
        launch(sky, Task(Resources({"A100-80GB": 1})), taken_back, limit_seconds=60)
    assert taken_back == []


def test_the_task_names_the_limit() -> None:
    on_demand = "resources: {use_spot: false}"
    limited = f"{on_demand}\nenvs: {{FINTTS_LAUNCH_PATIENCE_SECONDS: '90'}}"
    assert read_task(limited).patience_seconds == 90
    assert read_task(on_demand).patience_seconds == inf


def test_an_instance_that_is_ready_as_it_is_given_up_is_kept() -> None:
    class Late(Sky):
        """Answers only once the request was cancelled, too late for that."""

        def stream_and_get(self, request: str) -> None:
            assert self.cancelled.wait(30)

    sky, taken_back = Late(boots=set()), list[str]()
    launch(sky, Task(Resources({"A100-80GB": 1})), taken_back)
    assert (sky.asked, taken_back) == (["runpod/ca"], [])
