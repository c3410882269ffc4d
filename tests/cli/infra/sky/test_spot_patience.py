"""A managed job waits for its first instance no longer than a launch may; then nothing is left."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml

from fake_sky import FakeSky, Job
from fake_task import Resources, Task
from fintts_cli.errors import CloudError
from fintts_cli.infra import InstancePhase
from fintts_cli.infra.sky.launch.launch_patience import launch_patiently
from fintts_cli.infra.sky.launch.refusals import NotReadyInTime, RefusedEverywhere, refusal
from fintts_cli.infra.sky.rentals.job import ManagedJob
from fintts_cli.infra.sky.rentals.record import SkyRecord
from fintts_cli.infra.sky.sky import SkyInfra
from fintts_cli.prices.source import PriceList
from fintts_cost.prices.offer import PriceRow

SOLD_OUT = """\
⚙︎ Launching on AWS us-east-1 (us-east-1b).
An error occurred (InsufficientInstanceCapacity) when calling the RunInstances operation
⚙︎ Launching on AWS us-west-2 (us-west-2a).
An error occurred (InsufficientInstanceCapacity) when calling the RunInstances operation
"""
WITHOUT_QUOTA = SOLD_OUT.replace("InsufficientInstanceCapacity", "MaxSpotInstanceCountExceeded")
NO_QUOTA_HERE = SOLD_OUT.replace("InsufficientInstanceCapacity", "VcpuLimitExceeded", 1)


@dataclass
class Waiting(FakeSky):
    """Its controller does the next thing whenever it is looked at, the last one again and again."""

    starts: bool = False
    steps: Sequence[Callable[[Job], None]] = ()
    looks: int = 0

    def queue_v2(
        self, *, refresh: bool, fields: Sequence[str], name_match: str
    ) -> tuple[list[Job], int]:
        found = super().queue_v2(refresh=refresh, fields=fields, name_match=name_match)
        for job in found[0]:
            if not job.status.is_terminal():
                self.steps[min(self.looks, len(self.steps) - 1)](job)
        self.looks += 1
        return found


def trying(cloud: str, region: str) -> Callable[[Job], None]:
    def step(job: Job) -> None:
        job.become("STARTING", "LAUNCHING")
        job.cloud, job.region = cloud, region

    return step


def backing_off(job: Job) -> None:
    job.become("PENDING", "ALIVE")  # as SkyPilot 0.14.1 does; its own comments say otherwise
    job.cloud = job.region = "-"


def running(job: Job) -> None:
    job.become("RUNNING")
    job.start_at = 1.0


def giving_up(job: Job) -> None:
    job.become("FAILED_PRECHECKS", "DONE")
    job.failure_reason = "The name is taken. More of it."


def cancelled(job: Job) -> None:
    job.become("CANCELLED", "DONE")


class Offers:
    """Two regions of RunPod with a spot price."""

    def prices(self, accelerator: str, cloud: str | None) -> PriceList:
        assert cloud in (None, "runpod")
        rate, spot = Decimal("1.39"), Decimal("0.79")
        rows = [
            PriceRow("runpod", "m", accelerator, 1, rate, spot, "a test", "2026-11-24", region)
            for region in ("CA", "US")
        ]
        return PriceList(rows, "a test")


@dataclass
class Launch:
    """One launch, and what it did."""

    sky: Waiting
    limit_seconds: float = 60.0
    taken_back: list[str] = field(default_factory=list[str])
    said: list[str] = field(default_factory=list[str])

    def __call__(self) -> SkyRecord:
        self.task = Task(Resources({"A100-80GB": 1}, use_spot=True))
        return launch_patiently(
            self.sky,
            self.task,
            ManagedJob(),
            self._record(1),
            self.limit_seconds,
            Offers(),
            take_back=self._take_back,
            renew=lambda _: self._record(len(self.taken_back) + 1),
            note=self.said.append,
            poll_seconds=0.001,
        )

    def _record(self, number: int) -> SkyRecord:
        job = f"fintts-mine-{number}"
        return SkyRecord(run="mine", cluster=job, job=job, requested_at=datetime.now(UTC))

    def _take_back(self, record: SkyRecord) -> None:
        job = str(record.job)
        self.taken_back.append(job)
        [listed] = [one for one in self.sky.managed_jobs if one.job_name == job]
        self.sky.cancel(job_ids=[listed.job_id])
        self.sky.looks = 0
        self.sky.steps = (trying("RunPod", "US"), running)


def test_a_launch_ends_once_its_job_has_an_instance() -> None:
    steps = (trying("AWS", "us-east-1"), trying("AWS", "us-west-2"), backing_off, running)
    launch = Launch(Waiting(steps=steps, controller_said=SOLD_OUT))
    assert launch().job == "fintts-mine-1"
    assert launch.sky.looks >= len(steps)
    assert launch.taken_back == []


def test_capacity_is_waited_for_as_long_as_a_launch_may_take_and_no_longer() -> None:
    """Each place was asked by then, again and again: none is left to try."""
    sky = Waiting(steps=(trying("RunPod", "CA"), backing_off), controller_said=SOLD_OUT)
    launch = Launch(sky, limit_seconds=0.1)
    with pytest.raises(NotReadyInTime) as refused:
        launch()
    assert launch.taken_back == ["fintts-mine-1"]
    assert refused.value.message == (
        "no instance became ready within 0 minutes in runpod/ca, and it was taken back"
    )
    told = refusal(refused.value, SOLD_OUT)
    assert told is not None
    assert told.message.endswith("taken back: no capacity in aws/us-east-1, aws/us-west-2")
    assert "--launch-patience-seconds" in told.hint


def test_a_pod_that_is_never_ready_is_taken_back_and_the_next_place_tried() -> None:
    launch = Launch(Waiting(steps=(trying("RunPod", "CA"),)), limit_seconds=0.05)
    assert launch().job == "fintts-mine-2", "SkyPilot keeps the first one for ever"
    assert launch.taken_back == ["fintts-mine-1"]
    assert launch.said == ["no instance became ready in runpod/ca; it is taken back"]
    assert [one.infra for one in launch.task.resources] == ["runpod/US"]


def test_what_waiting_does_not_mend_is_not_waited_for() -> None:
    launch = Launch(Waiting(steps=(backing_off,), controller_said=WITHOUT_QUOTA))
    with pytest.raises(RefusedEverywhere) as refused:
        launch()
    assert launch.taken_back == ["fintts-mine-1"]
    told = refusal(refused.value, WITHOUT_QUOTA)
    assert told is not None
    assert told.message == (
        "no instance is available: no quota for this account in aws/us-east-1, aws/us-west-2"
    )


def test_one_place_that_may_have_capacity_later_is_waited_for() -> None:
    steps = (trying("AWS", "us-east-1"), backing_off, backing_off, running)
    sky = Waiting(steps=steps, controller_said=NO_QUOTA_HERE)
    launch = Launch(sky)
    launch()
    assert launch.taken_back == []


@pytest.mark.parametrize(
    ("step", "why"),
    [(giving_up, "The name is taken"), (cancelled, "another command cancelled the request")],
)
def test_a_job_that_ends_without_an_instance_is_not_waited_for(
    step: Callable[[Job], None], why: str
) -> None:
    launch = Launch(Waiting(steps=(trying("AWS", "us-east-1"), step)))
    with pytest.raises(CloudError, match=f"no instance is available: {why}"):
        launch()


def test_nothing_is_left_of_a_launch_that_waited_in_vain(tmp_path: Path) -> None:
    sky = Waiting(steps=(backing_off,), controller_said=SOLD_OUT)
    infra = SkyInfra("aws", tmp_path / "state", sky.session)
    (tmp_path / "bundle").mkdir()
    task = {
        "resources": {"use_spot": True},
        "workdir": str(tmp_path / "bundle"),
        "envs": {"FINTTS_LAUNCH_PATIENCE_SECONDS": "0"},
    }
    with pytest.raises(CloudError, match=r"within 0 minutes.*: no capacity in aws/us-east-1"):
        infra.launch("mine", yaml.safe_dump(task))
    assert [one.status.value for one in sky.managed_jobs] == ["CANCELLED"]
    state = infra.state("mine")
    assert state is not None
    assert state.phase == InstancePhase.GONE
    assert not (tmp_path / "state" / "sky" / "mine" / "workdir").exists()


def test_where_a_job_without_an_instance_is_nobody_knows() -> None:
    sky = Waiting(steps=(backing_off,))
    sky.launch(SimpleNamespace(), name="fintts-mine-19ab")
    infra = SkyInfra("", Path(), sky.session)
    (seen,) = infra.census().sightings
    assert (seen.infra, seen.instance_since) == ("", None)
