"""`fintts cloud launch` for real: SkyPilot, an instance, training on it, and nothing after it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from cli_project import write_project
from rig.cloud import EmulatedAws
from rig.timeline import Timeline
from waiting import wait_until

pytestmark = [pytest.mark.cloud, pytest.mark.timeout(900)]


class Laptop:
    """`fintts` on the emulated laptop, in a project whose store is a bucket of the emulated AWS."""

    def __init__(self, cloud: EmulatedAws, folder: Path, bucket: str) -> None:
        self.cloud, self.folder = cloud, folder
        cloud.s3().create_bucket(Bucket=bucket)
        write_project(folder)
        file = folder / "fintts.yaml"
        text = file.read_text().replace("infra: local", "infra: aws\ngpus: H100:1")
        text = text.replace("store: store", f"store: s3://{bucket}/speech")
        text = text.replace("hourly_rate_usd: 1.20", f"s3_endpoint_url: {cloud.endpoint_url}")
        file.write_text(text)

    def fintts(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Runs to the end; nobody can be asked."""
        return subprocess.run(
            [str(Path(sys.executable).parent / "fintts"), *words],
            cwd=self.folder,
            env=self.cloud.environment | {"FINTTS_STATE_DIR": str(self.folder / "state")},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )

    def document(self, *words: str) -> Any:
        """What a command prints with --json."""
        done = self.fintts(*words, "--json")
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)


def test_a_run_is_launched_trained_and_torn_down_with_nobody_watching(
    emulated_aws: EmulatedAws, tmp_path: Path, timeline: Timeline
) -> None:
    laptop = Laptop(emulated_aws, tmp_path / "project", "launched")
    timeline.mark("launch")
    launched = laptop.document("cloud", "launch", "--name", "mine", "--yes", "--detach")
    timeline.mark("submitted, laptop shut")
    assert launched["infra"] == "aws"
    emulated_aws.shut_laptop()
    ours = [one for one in emulated_aws.instances() if one.tags.get("fintts-run") == "mine"]
    assert [one.instance_type for one in ours] == ["p5.4xlarge"]
    wait_until(lambda: not any(one.is_billed for one in emulated_aws.instances()))
    timeline.mark("terminated")

    (view,) = laptop.document("cloud", "ps")
    assert (view["phase"], view["stop_reason"]) == ("done", "early_stopping"), view
    assert view["instance_is_live"] is False
    pulled = laptop.document("cloud", "pull-checkpoints", "mine")
    assert all(checkpoint["verified"] for checkpoint in pulled["checkpoints"])
