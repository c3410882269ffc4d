"""The rig, proven by a task that has nothing to do with training."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from rig.cloud import EmulatedAws, InstanceFacts
from rig.timeline import Timeline
from waiting import wait_until

pytestmark = [pytest.mark.cloud, pytest.mark.timeout(900)]

HERE = Path(__file__).parent
LABEL = "fintts-run"
STEPS = 60
"""a second each: enough for a preemption midway"""


def test_a_managed_job_outlives_its_spot_instance_and_leaves_none(
    emulated_aws: EmulatedAws, tmp_path: Path, timeline: Timeline
) -> None:
    bucket = Bucket(emulated_aws, "job")
    recovery = {"job_recovery": {"strategy": "EAGER_NEXT_REGION", "max_restarts_on_errors": 0}}
    task = write_task(tmp_path, bucket, steps=STEPS, resources={"use_spot": True, **recovery})

    timeline.mark("launch")
    sky(emulated_aws, "jobs-launch", "counting", str(task))
    timeline.mark("queued")
    # Preempted before SkyPilot has seen it run, a job waits longer for its next instance.
    wait_until(lambda: sky(emulated_aws, "jobs-status", "counting") == "RUNNING")
    wait_until(lambda: len(bucket.steps()) >= 10)
    [first] = instances(emulated_aws, bucket)
    emulated_aws.preempt(first.id)
    timeline.mark("preempted")
    reached = len(bucket.steps())
    wait_until(lambda: len(bucket.steps()) > reached + 1)
    _, second = instances(emulated_aws, bucket)
    timeline.mark("second instance", second.launched_at.timestamp())
    wait_until(bucket.has_ended)
    wait_until(lambda: not any(i.is_billed for i in instances(emulated_aws, bucket)))
    timeline.mark("terminated")
    bucket.mark(timeline, first_after=reached)

    assert first.spot
    assert second.spot
    assert len(bucket.steps()) == STEPS
    wait_until(lambda: sky(emulated_aws, "jobs-status", "counting") == "SUCCEEDED")
    assert len(instances(emulated_aws, bucket)) == 2


def test_a_cluster_does_its_job_and_goes_down_with_nobody_watching(
    emulated_aws: EmulatedAws, tmp_path: Path, timeline: Timeline
) -> None:
    bucket = Bucket(emulated_aws, "cluster")
    down = {"autostop": {"idle_minutes": 1, "down": True, "wait_for": "jobs"}}
    task = write_task(tmp_path, bucket, steps=5, resources={"use_spot": False, **down})

    timeline.mark("launch")
    assert sky(emulated_aws, "launch", "plain", str(task)) == "1"
    timeline.mark("submitted, laptop shut")
    emulated_aws.shut_laptop()
    [instance] = instances(emulated_aws, bucket)
    timeline.mark("instance", instance.launched_at.timestamp())
    wait_until(lambda: instances(emulated_aws, bucket)[0].state == "terminated")
    timeline.mark("terminated")
    bucket.mark(timeline)

    assert instance.instance_type == "p5.4xlarge"
    assert bucket.steps() == [f"steps/{step:03}" for step in range(5)]


class Bucket:
    """What a counting job leaves."""

    def __init__(self, cloud: EmulatedAws, name: str) -> None:
        self.name = name
        self._s3 = cloud.s3()
        self._s3.create_bucket(Bucket=name)

    def steps(self) -> list[str]:
        listed = self._s3.list_objects_v2(Bucket=self.name, Prefix="steps/")
        return [item["Key"] for item in listed.get("Contents", [])]

    def has_ended(self) -> bool:
        return self._s3.list_objects_v2(Bucket=self.name, Prefix="ended")["KeyCount"] == 1

    def mark(self, timeline: Timeline, first_after: int | None = None) -> None:
        """Notes the job's start and end, and its first step after the one of that number."""
        timeline.mark("job start", self._moment("steps/000"))
        timeline.mark("job end", self._moment("ended"))
        if first_after is not None:
            timeline.mark("goes on", self._moment(f"steps/{first_after:03}"))

    def _moment(self, key: str) -> float:
        return float(self._s3.get_object(Bucket=self.name, Key=key)["Body"].read())


def write_task(folder: Path, bucket: Bucket, steps: int, resources: dict[str, object]) -> Path:
    workdir = folder / "workdir"
    workdir.mkdir()
    shutil.copy(HERE / "counting_job.py", workdir)
    gpu = {"infra": "aws", "accelerators": "H100:1", "max_hourly_cost": 7.0}
    labels = {"labels": {LABEL: bucket.name}}
    task = {
        "resources": gpu | labels | resources,
        "workdir": str(workdir),
        "run": f"python3 counting_job.py {bucket.name} {steps}",
    }
    path = folder / "task.yaml"
    path.write_text(yaml.safe_dump(task))
    return path


def sky(cloud: EmulatedAws, *words: str) -> str:
    """The answer of `plain_sky.py` on the laptop."""
    command = [sys.executable, str(HERE / "plain_sky.py"), *words]
    done = subprocess.run(
        command, env=cloud.environment, cwd=cloud.home, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.splitlines()[-1]


def instances(cloud: EmulatedAws, bucket: Bucket) -> list[InstanceFacts]:
    """Those of one task, by its label."""
    return [item for item in cloud.instances() if item.tags.get(LABEL) == bucket.name]
