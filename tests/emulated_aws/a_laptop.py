"""`fintts` as a user of the emulated AWS has it."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml

from cli_project import write_project
from rig.cloud import EmulatedAws, InstanceFacts
from waiting import wait_until

KALEVALA = Path(__file__).parents[2] / "examples" / "kalevala"
ENDLESS = {
    "FINTTS_EARLY_STOPPING__ENABLED": "false",
    "FINTTS_TRAINING__MAX_STEPS": "100000",
    # Dozens of checkpoints a second would be all that this machine is busy with.
    "FINTTS_VALIDATION__EVERY": "100",
    "FINTTS_CHECKPOINTS__EVERY": "100",
}
"""settings of a run that nothing but its deadline ends"""
EITHER_GPU: dict[str, object] = {
    "gpus": ["A100-80GB", "H100"],
    "forecast": {"setup_seconds": 10, "teardown_seconds": 1},
}
"""changes to fintts.yaml: one measured pace would be that of one GPU"""


class Laptop:
    """`fintts` on the emulated laptop, in a project whose store is a bucket of the emulated AWS."""

    def __init__(
        self,
        cloud: EmulatedAws,
        folder: Path,
        bucket: str,
        *,
        example: Path | None = None,
        on_aws: bool = False,
    ) -> None:
        """Args:
        example: is copied; without one the project is that of most tests.
        on_aws: the store's address names no server, so it counts as one of AWS's own.
        """
        self.cloud, self.folder, self.bucket = cloud, folder, bucket
        cloud.s3().create_bucket(Bucket=bucket)
        if example is None:
            write_project(folder)
        else:
            shutil.copytree(example, folder)
        self.configure(
            infra="aws",
            gpus="H100:1",
            store=f"s3://{bucket}/speech",
            s3_endpoint_url=None if on_aws else cloud.endpoint_url,
            hourly_rate_usd=None,
        )

    def configure(self, **changes: object) -> None:
        """Changes these keys of fintts.yaml; None takes one out."""
        file = self.folder / "fintts.yaml"
        settings = yaml.safe_load(file.read_text()) | changes
        left = {key: value for key, value in settings.items() if value is not None}
        file.write_text(yaml.safe_dump(left))

    def fintts(self, *words: str, **variables: str) -> subprocess.CompletedProcess[str]:
        """Runs to the end, without a terminal."""
        begun = self.begin(*words, **variables)
        out, err = begun.communicate()
        return subprocess.CompletedProcess(begun.args, begun.returncode, out, err)

    def begin(self, *words: str, **variables: str) -> subprocess.Popen[str]:
        """The same, for a test that does not wait for its end."""
        state = {"FINTTS_STATE_DIR": str(self.folder / "state")}
        return subprocess.Popen(
            [str(Path(sys.executable).parent / "fintts"), *words],
            cwd=self.folder,
            env=self.cloud.environment | state | variables,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def launch(self, run: str, *options: str, **variables: str) -> str:
        """Returns when the run needs the laptop no more, with what was said."""
        words = ("cloud", "launch", "--name", run, "--yes", "--detach", *options)
        launched = self.fintts(*words, **variables)
        assert launched.returncode == 0, launched.stderr
        return launched.stderr

    def document(self, *words: str, **variables: str) -> Any:
        """What a command prints with --json."""
        done = self.fintts(*words, "--json", **variables)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def view(self, run: str, **variables: str) -> Any:
        """What `ps` says of the run."""
        [view] = [one for one in self.document("cloud", "ps", **variables) if one["run"] == run]
        return view

    def instances(self, run: str) -> list[InstanceFacts]:
        """Of one run, by its label, the oldest first."""
        return [one for one in self.cloud.instances() if one.tags.get("fintts-run") == run]

    def keys(self, prefix: str) -> list[str]:
        """What the store holds below it."""
        listed = self.cloud.s3().list_objects_v2(Bucket=self.bucket, Prefix=f"speech/{prefix}")
        return [item["Key"] for item in listed.get("Contents", [])]

    def await_commit(self, run: str) -> None:
        """Returns when the run has a checkpoint."""
        wait_until(lambda: bool(self.keys(f"runs/{run}/commits/")))


def billed(cloud: EmulatedAws) -> list[str]:
    return [one.id for one in cloud.instances() if one.is_billed]
