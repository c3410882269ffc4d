"""`fintts` as a user of the emulated AWS has it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from cli_project import write_project
from rig.cloud import EmulatedAws

ENDLESS = {"FINTTS_EARLY_STOPPING__ENABLED": "false", "FINTTS_TRAINING__MAX_STEPS": "100000"}
"""settings of a run that nothing but its deadline ends"""


class Laptop:
    """`fintts` on the emulated laptop, in a project whose store is a bucket of the emulated AWS."""

    def __init__(
        self, cloud: EmulatedAws, folder: Path, bucket: str, *, on_aws: bool = False
    ) -> None:
        """`on_aws`: the store's address names no server, so it counts as one of AWS's own."""
        self.cloud, self.folder, self.bucket = cloud, folder, bucket
        cloud.s3().create_bucket(Bucket=bucket)
        write_project(folder)
        file = folder / "fintts.yaml"
        text = file.read_text().replace("infra: local", "infra: aws\ngpus: H100:1")
        text = text.replace("store: store", f"store: s3://{bucket}/speech")
        endpoint = "" if on_aws else f"s3_endpoint_url: {cloud.endpoint_url}"
        text = text.replace("hourly_rate_usd: 1.20", endpoint)
        file.write_text(text)

    def fintts(self, *words: str, **variables: str) -> subprocess.CompletedProcess[str]:
        """Runs to the end; nobody can be asked."""
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

    def find_clouds(self) -> None:
        """What a user does once: from then on prices are those of SkyPilot's catalog."""
        sky = str(Path(sys.executable).parent / "sky")
        subprocess.run([sky, "check", "aws"], env=self.cloud.environment, check=True)

    def commits(self, run: str) -> int:
        """How many checkpoints of the run there are."""
        prefix = f"speech/runs/{run}/commits/"
        return self.cloud.s3().list_objects_v2(Bucket=self.bucket, Prefix=prefix)["KeyCount"]

    def document(self, *words: str) -> Any:
        """What a command prints with --json."""
        done = self.fintts(*words, "--json")
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)


def billed(cloud: EmulatedAws) -> list[str]:
    return [one.id for one in cloud.instances() if one.is_billed]
