"""`fintts cloud launch --spot` for real: instances are taken away, with and without a word."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest

from a_laptop import Laptop, billed
from fintts_store import layout
from fintts_store.records import Phase, Status
from rig.cloud import EmulatedAws, InstanceFacts
from rig.timeline import Timeline
from waiting import wait_until

pytestmark = [pytest.mark.cloud, pytest.mark.timeout(1200)]

STEPS, INTERVAL = 1200, 400
"""Less than a minute of training: the instance is taken away soon after the first checkpoint."""
LONG = {
    "FINTTS_SPOT": "true",
    "FINTTS_EARLY_STOPPING__ENABLED": "false",
    "FINTTS_TRAINING__MAX_STEPS": str(STEPS),
    "FINTTS_VALIDATION__EVERY": str(INTERVAL),
    "FINTTS_CHECKPOINTS__EVERY": str(INTERVAL),
}
REPLACED_WITHIN_SECONDS = 60.0
"""Left alone, SkyPilot had another instance a minute after it was started again."""
AWARE_WITHIN_SECONDS = 60.0
"""SkyPilot hears of an instance, and of its loss, some seconds later than it is billed."""
SHORT = LONG | {"FINTTS_TRAINING__MAX_STEPS": str(2 * INTERVAL)}
ENDLESS = LONG | {"FINTTS_TRAINING__MAX_STEPS": "100000"}


def instances(cloud: EmulatedAws, run: str) -> list[InstanceFacts]:
    """Of one run, by its label."""
    return [one for one in cloud.instances() if one.tags.get("fintts-run") == run]


def keys(cloud: EmulatedAws, bucket: str, prefix: str) -> list[str]:
    listed = cloud.s3().list_objects_v2(Bucket=bucket, Prefix=f"speech/{prefix}")
    return [item["Key"] for item in listed.get("Contents", [])]


def launch(laptop: Laptop, run: str, **variables: str) -> None:
    words = ("cloud", "launch", "--name", run, "--yes", "--detach")
    launched = laptop.fintts(*words, **variables)
    assert launched.returncode == 0, launched.stderr


def status_of(cloud: EmulatedAws, bucket: str, run: str) -> Status:
    """The trainer's last heartbeat."""
    key = f"speech/{layout.status_key(run)}"
    answer = cloud.s3().get_object(Bucket=bucket, Key=key)
    return Status.load(answer["Body"].read(), key)


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
    """A run called `mine` whose instances are taken away, one after the other."""

    cloud: EmulatedAws
    laptop: Laptop
    timeline: Timeline

    @property
    def status(self) -> Status:
        """The trainer's last heartbeat."""
        return status_of(self.cloud, self.laptop.bucket, "mine")

    @property
    def instance(self) -> InstanceFacts:
        """The one that it is on."""
        [only] = [one for one in instances(self.cloud, "mine") if one.is_billed]
        return only

    @property
    def logs(self) -> list[str]:
        """What the instances said to their end, of those that had time to leave it."""
        bucket = self.laptop.bucket
        answers = [
            self.cloud.s3().get_object(Bucket=bucket, Key=key)
            for key in sorted(keys(self.cloud, bucket, layout.logs_prefix("mine")))
        ]
        return [answer["Body"].read().decode() for answer in answers]

    def await_claim(self, number: int) -> None:
        prefix = layout.claims_prefix("mine")
        wait_until(lambda: len(keys(self.cloud, self.laptop.bucket, prefix)) == number)
        self.timeline.mark(f"trainer {number}")

    def lose_an_instance(self) -> int:
        """Without a word, after the first checkpoint; the step that was reached."""
        wait_until(lambda: self.status.step > INTERVAL)
        self.cloud.preempt(self.instance.id)
        self.timeline.mark("taken away")
        reached = self.status.step
        wait_until(lambda: self.laptop.document("cloud", "ps")[0]["phase"] == "provisioning")
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
        return status.phase == Phase.DONE or "goes on from here" in (status.message or "")


def test_a_run_outlives_its_instances_and_ends_as_if_nothing_had_been(
    emulated_aws: EmulatedAws, tmp_path: Path, timeline: Timeline
) -> None:
    laptop = Laptop(emulated_aws, tmp_path / "project", "spot")
    laptop.find_clouds()
    run = Run(emulated_aws, laptop, timeline)
    timeline.mark("launch")
    launch(laptop, "mine", **LONG)
    timeline.mark("submitted")
    wait_until(lambda: laptop.commits("mine") > 0)
    timeline.mark("first checkpoint")
    reached = run.lose_an_instance()
    run.await_claim(2)
    saved = run.lose_an_instance_as_announced()
    run.await_claim(3)
    followed = laptop.fintts("cloud", "logs", "mine")
    wait_until(lambda: not billed(emulated_aws))
    timeline.mark("terminated")

    assert 0 < reached - INTERVAL <= INTERVAL, "at most what comes between two checkpoints is lost"
    assert f"resumed at step {INTERVAL}\n" in run.logs[0]
    assert f"resumed at step {saved}\n" in followed.stdout, followed.stdout + followed.stderr
    three = instances(emulated_aws, "mine")
    assert [(one.spot, one.instance_type) for one in three] == [(True, "p5.4xlarge")] * 3
    for number, one in enumerate(three, start=1):
        timeline.mark(f"instance {number}", one.launched_at.timestamp())
    wait_until(lambda: not laptop.document("cloud", "ps")[0]["instance_is_live"])
    report = laptop.document("cloud", "report", "mine")
    timeline.mark("run over", datetime.fromisoformat(report["ended_at"]).timestamp())
    assert (report["stop_reason"], report["step"]) == ("max_steps", STEPS)
    assert report["hourly_rate_usd"] == 3.10
    moments = timeline.moments
    ends = ("taken away", "taken away again", "terminated")
    lived = sum(moments[end] - moments[f"instance {n}"] for n, end in enumerate(ends, start=1))
    assert report["billed_seconds"] == pytest.approx(lived, abs=2 * AWARE_WITHIN_SECONDS)
    undisturbed = undisturbed_adapter(emulated_aws, tmp_path / "here")
    assert last_adapter(laptop, "mine", str(tmp_path / "pulled")) == undisturbed


def test_a_laptop_that_was_off_bills_nothing_once_runs_are_listed(
    emulated_aws: EmulatedAws, tmp_path: Path, timeline: Timeline
) -> None:
    laptop = Laptop(emulated_aws, tmp_path / "project", "off")
    laptop.find_clouds()
    launch(laptop, "ended", **SHORT)
    wait_until(lambda: laptop.commits("ended") > 0)
    emulated_aws.shut_laptop()
    timeline.mark("laptop off")
    wait_until(lambda: bool(keys(emulated_aws, "off", layout.result_key("ended"))))
    timeline.mark("run over")
    [only] = instances(emulated_aws, "ended")
    emulated_aws.preempt(only.id)  # as it does itself, ten minutes later
    timeline.mark("laptop on, and ps")
    listed = laptop.fintts("cloud", "ps")
    timeline.mark("listed")
    assert "run ended has ended: its instance is removed" in listed.stderr, listed
    assert billed(emulated_aws) == []
    known = instances(emulated_aws, "ended")
    if len(known) > 1:  # on a busy machine SkyPilot was quicker
        timeline.mark("rented once more", known[1].launched_at.timestamp())
    wait_until(lambda: time.time() - timeline.moments["listed"] > REPLACED_WITHIN_SECONDS)
    assert [one.id for one in instances(emulated_aws, "ended")] == [one.id for one in known]
    (view,) = laptop.document("cloud", "ps")
    assert (view["phase"], view["instance_is_live"]) == ("done", False)


def test_down_takes_the_job_and_its_instance(
    emulated_aws: EmulatedAws, tmp_path: Path, timeline: Timeline
) -> None:
    laptop = Laptop(emulated_aws, tmp_path / "project", "downed-spot")
    laptop.find_clouds()
    launch(laptop, "downed", **ENDLESS)
    wait_until(lambda: laptop.commits("downed") > 0)
    [only] = instances(emulated_aws, "downed")
    timeline.mark("down")
    down = laptop.fintts("cloud", "down", "downed")
    timeline.mark("done")
    assert down.returncode == 0, down.stderr
    assert billed(emulated_aws) == []
    assert laptop.fintts("cloud", "down", "downed").returncode == 0, "twice is once"
    (view,) = laptop.document("cloud", "ps")
    assert (view["stop_reason"], view["instance_is_live"]) == ("requested", False)
    assert [one.id for one in instances(emulated_aws, "downed")] == [only.id]
