"""`fintts cloud launch --spot` for real: instances are taken away, with and without a word."""

from __future__ import annotations

import re
import time
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest

from a_laptop import EITHER_GPU, Laptop, billed
from fintts_store import layout
from fintts_store.runs.records import Phase, Status
from rig.catalog import A100_TYPE, H100_TYPE, ZONES
from rig.cloud import EmulatedAws, InstanceFacts
from rig.timeline import Timeline
from waiting import wait_until

pytestmark = [pytest.mark.cloud, pytest.mark.timeout(1200)]

STEPS, INTERVAL = 2000, 400
"""A minute of training: `launch` returns some seconds after the trainer began, and the instance is
taken away soon after."""
LONG = {
    "FINTTS_SPOT": "true",
    "FINTTS_EARLY_STOPPING__ENABLED": "false",
    "FINTTS_TRAINING__MAX_STEPS": str(STEPS),
    "FINTTS_VALIDATION__EVERY": str(INTERVAL),
    "FINTTS_CHECKPOINTS__EVERY": str(INTERVAL),
    # A deadline that is far enough: no job goes on with a run in the ten minutes before it.
    "FINTTS_FORECAST__SETUP_SECONDS": "600",
}
EMULATED_MARKET_USD = 0.00001
"""an hour of any spot instance, in the price history of moto's EC2"""
RUN = "spot"
RESUMED = re.compile(r"resumed at step (\d+)\n")
REPLACED_WITHIN_SECONDS = 60.0
"""Left alone, SkyPilot had another instance a minute after it was started again."""
AWARE_WITHIN_SECONDS = 60.0
"""SkyPilot hears of an instance, and of its loss, some seconds later than it is billed."""
SHORT = LONG | {"FINTTS_TRAINING__MAX_STEPS": str(2 * INTERVAL)}


def last_adapter(laptop: Laptop, run: str, to: str) -> bytes:
    pulled = laptop.document("cloud", "pull-checkpoints", run, "--last", "--to", to)
    [checkpoint] = pulled["checkpoints"]
    assert checkpoint["step"] == STEPS
    return (Path(checkpoint["path"]) / "adapter_model.safetensors").read_bytes()


def undisturbed_adapter(cloud: EmulatedAws, folder: Path) -> bytes:
    """Of the same run on the laptop itself, with nobody in its way."""
    laptop = Laptop(cloud, folder, "undisturbed")
    here = LONG | {"FINTTS_SPOT": "false", "FINTTS_INFRA": "local", "FINTTS_HOURLY_RATE_USD": "1"}
    trained = laptop.fintts("cloud", "launch", "--name", "whole", "--yes", **here)
    assert trained.returncode == 0, trained.stderr
    return last_adapter(laptop, "whole", str(folder / "whole"))


@dataclass(frozen=True)
class Run:
    """A run whose instances are taken away, one after the other."""

    cloud: EmulatedAws
    laptop: Laptop
    timeline: Timeline

    @property
    def status(self) -> Status:
        """The trainer's last heartbeat."""
        key = f"speech/{layout.status_key(RUN)}"
        answer = self.cloud.s3().get_object(Bucket=self.laptop.bucket, Key=key)
        return Status.load(answer["Body"].read(), key)

    @property
    def instance(self) -> InstanceFacts:
        """The one that it is on."""
        [only] = [one for one in self.laptop.instances(RUN) if one.is_billed]
        return only

    @property
    def logs(self) -> list[str]:
        """What the instances said to their end, of those that had time to leave it."""
        answers = [
            self.cloud.s3().get_object(Bucket=self.laptop.bucket, Key=key)
            for key in sorted(self.laptop.keys(layout.logs_prefix(RUN)))
        ]
        return [answer["Body"].read().decode() for answer in answers]

    def await_claim(self, number: int) -> None:
        prefix = layout.claims_prefix(RUN)
        wait_until(lambda: len(self.laptop.keys(prefix)) == number)
        self.timeline.mark(f"trainer {number}")

    def lose_an_instance(self) -> Status:
        """Without a word, after the first checkpoint; the trainer's last heartbeat."""
        wait_until(lambda: self.status.step > INTERVAL)
        self.cloud.preempt(self.instance.id)
        self.timeline.mark("taken away")
        reached = self.status
        wait_until(lambda: self.laptop.view(RUN)["phase"] == "provisioning")
        self.timeline.mark("said to be recovering")
        return reached

    def lose_an_instance_as_announced(self) -> int:
        """As AWS does it, some steps after the first ones of claim 2; the step that was saved."""
        wait_until(lambda: self.status.claim == 2 and self.status.step > INTERVAL)
        leaving = self.instance.id
        ends_at = self.cloud.announce_end(leaving)
        self.timeline.mark("end announced")
        wait_until(self._has_left)
        self.timeline.mark("trainer 2 gone")
        last = self.status
        assert last.message is not None, "the run was not told"
        assert f"is being taken away at {ends_at:%H:%M:%S} UTC" in last.message
        assert last.step == last.last_committed_step
        wait_until(lambda: leaving not in billed(self.cloud) or datetime.now(UTC) > ends_at)
        self.cloud.preempt(leaving)  # which SkyPilot may have done by then
        self.timeline.mark("taken away again")
        return last.step

    def _has_left(self) -> bool:
        """Whether the trainer has said its last words, before the run was over or at its end."""
        status = self.status
        return status.phase == Phase.DONE or "resumes from here" in (status.message or "")


def test_a_run_outlives_its_instances_and_ends_as_if_nothing_had_been(
    emulated_aws: EmulatedAws, tmp_path: Path, timeline: Timeline
) -> None:
    laptop = Laptop(emulated_aws, tmp_path / "project", "spot")
    laptop.configure(**EITHER_GPU)
    run = Run(emulated_aws, laptop, timeline)
    with ExitStack() as stack:
        for region in ZONES:
            stack.enter_context(emulated_aws.sold_out(region, A100_TYPE))
        timeline.mark("launch")
        said = laptop.launch(RUN, **LONG)
        timeline.mark("submitted")
        laptop.await_commit(RUN)
        timeline.mark("first checkpoint")
        reached = run.lose_an_instance()
        run.await_claim(2)
        saved = run.lose_an_instance_as_announced()
        run.await_claim(3)
        followed = laptop.fintts("cloud", "logs", RUN)
        wait_until(lambda: not billed(emulated_aws))
    timeline.mark("terminated")

    assert "A100-80GB:1: $1.40 an hour" in said
    assert "H100:1: $3.10 an hour" in said
    resumed = RESUMED.search(run.logs[0])
    assert resumed is not None, run.logs[0]
    assert reached.last_committed_step is not None
    assert reached.last_committed_step <= int(resumed[1]) < reached.step < STEPS
    assert f"resumed at step {saved}\n" in followed.stdout, followed.stdout + followed.stderr
    three = laptop.instances(RUN)
    assert [(one.spot, one.instance_type) for one in three] == [(True, H100_TYPE)] * 3
    for number, one in enumerate(three, start=1):
        timeline.mark(f"instance {number}", one.launched_at.timestamp())
    wait_until(lambda: not laptop.view(RUN)["instance_is_live"])
    report = laptop.document("cloud", "report", RUN)
    timeline.mark("run over", datetime.fromisoformat(report["ended_at"]).timestamp())
    assert (report["stop_reason"], report["step"]) == ("max_steps", STEPS)
    assert report["hourly_rate_usd"] == EMULATED_MARKET_USD, "AWS bills the market's price"
    moments = timeline.moments
    ends = ("taken away", "taken away again", "terminated")
    begins = ("launch", "instance 2", "instance 3")  # the first is billed from the request
    lived = sum(moments[end] - moments[began] for began, end in zip(begins, ends, strict=True))
    assert report["billed_seconds"] == pytest.approx(lived, abs=2 * AWARE_WITHIN_SECONDS)
    undisturbed = undisturbed_adapter(emulated_aws, tmp_path / "here")
    assert last_adapter(laptop, RUN, str(tmp_path / "pulled")) == undisturbed


@pytest.mark.by_hand  # tests/cli/infra/sky/test_job.py has the same without an instance
def test_a_laptop_that_was_off_bills_nothing_once_runs_are_listed(
    emulated_aws: EmulatedAws, tmp_path: Path, timeline: Timeline
) -> None:
    laptop = Laptop(emulated_aws, tmp_path / "project", "off")
    laptop.launch("ended", **SHORT)
    laptop.await_commit("ended")
    emulated_aws.shut_laptop()
    timeline.mark("laptop off")
    wait_until(lambda: bool(laptop.keys(layout.result_key("ended"))))
    timeline.mark("run over")
    [only] = laptop.instances("ended")
    emulated_aws.preempt(only.id)  # as it does itself, ten minutes later
    timeline.mark("laptop on, and ps")
    listed = laptop.fintts("cloud", "ps")
    timeline.mark("listed")
    assert "run ended has ended; its instance is now removed" in listed.stderr, listed
    assert billed(emulated_aws) == []
    known = laptop.instances("ended")
    if len(known) > 1:  # on a busy machine SkyPilot was quicker
        timeline.mark("rented once more", known[1].launched_at.timestamp())
    wait_until(lambda: time.time() - timeline.moments["listed"] > REPLACED_WITHIN_SECONDS)
    assert [one.id for one in laptop.instances("ended")] == [one.id for one in known]
    view = laptop.view("ended")
    assert (view["phase"], view["instance_is_live"]) == ("done", False)
