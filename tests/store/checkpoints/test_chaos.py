"""SIGKILL at random moments, a real process, a real object store: nothing torn, nothing lost.

`make chaos N=300` kills more often than the test suite does.
"""

from __future__ import annotations

import os
import random
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import boto3
import pytest

from commit_for_ever import KEEP_LAST, RUN, content_of, value_of
from fintts_store.backends.s3.addresses.address import S3Address
from radosgw import Radosgw
from s3_servers import make_bucket
from store_verifier import Commit, orphans, verify

KILLS = int(os.environ.get("CHAOS_KILLS", "60"))
SCRIPT = Path(__file__).parents[2] / "support" / "commit_for_ever.py"
MOMENTS = random.Random(5)
STARTING_SHARE = 0.2
"""of the kills come while the process still starts"""


@dataclass
class Bucket:
    """The store from outside, by boto3 alone."""

    address: S3Address

    def __post_init__(self) -> None:
        self._client = boto3.client("s3", endpoint_url=self.address.endpoint_url)

    def keys(self) -> list[str]:
        pages = self._client.get_paginator("list_objects_v2").paginate(Bucket=self.address.bucket)
        found = [item["Key"] for page in pages for item in page.get("Contents", [])]
        return [key.removeprefix(self.address.prefix) for key in found]

    def read(self, key: str) -> bytes:
        response = self._client.get_object(
            Bucket=self.address.bucket, Key=self.address.prefix + key
        )
        return response["Body"].read()

    def uploads(self) -> int:
        """Multipart uploads that are neither finished nor aborted."""
        return len(
            self._client.list_multipart_uploads(Bucket=self.address.bucket).get("Uploads", [])
        )

    def verified(self) -> list[Commit]:
        return verify(self.keys(), self.read, RUN)


@contextmanager
def parent_of_many(address: S3Address, folder: Path) -> Generator[subprocess.Popen[str]]:
    """The process from which those are forked that commit and are killed."""
    with subprocess.Popen(
        [sys.executable, str(SCRIPT), address.url, str(folder)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as parent:
        yield parent  # leaving closes its standard input, which ends it


def killed_at_some_moment(parent: subprocess.Popen[str]) -> int:
    """The highest step that a process reported before its SIGKILL; 0 if none."""
    assert parent.stdin is not None
    assert parent.stdout is not None
    parent.stdin.write("one more\n")
    parent.stdin.flush()
    process = int(parent.stdout.readline())
    is_starting = MOMENTS.random() < STARTING_SHARE
    if not is_starting:
        assert parent.stdout.readline() == "ready\n"
    time.sleep(MOMENTS.uniform(0.0, 0.2 if is_starting else 0.8))
    os.kill(process, signal.SIGKILL)
    highest = 0
    for line in parent.stdout:
        if line == "gone\n":
            return highest
        highest = highest if line == "ready\n" else max(highest, int(line))
    raise AssertionError("the parent has ended")


@pytest.mark.long
@pytest.mark.timeout(60 + 10 * KILLS)
def test_kills_at_random_moments_lose_nothing(gateway: Radosgw, tmp_path: Path) -> None:
    bucket = Bucket(make_bucket(gateway.url, f"chaos-{secrets.token_hex(4)}"))
    last_reported = 0
    with parent_of_many(bucket.address, tmp_path) as parent:
        for _ in range(KILLS):
            last_reported = max(last_reported, killed_at_some_moment(parent))
            commits = bucket.verified()
            if last_reported:
                assert commits, "something can be restored at all times"
                assert commits[-1].step >= last_reported, "a reported commit is there"
    assert last_reported > KILLS // 4, "the processes had time to work"

    subprocess.run(
        [sys.executable, str(SCRIPT), bucket.address.url, str(tmp_path), "6"], check=True
    )
    commits = bucket.verified()
    assert orphans(bucket.keys(), commits, RUN) == set()
    assert bucket.uploads() == 0
    last = [commit.step for commit in commits][-KEEP_LAST:]
    assert last == list(range(last[-1] - KEEP_LAST + 1, last[-1] + 1))
    assert len(commits) <= KEEP_LAST + 2, "the last, the best, and the one that was resumed from"
    assert min(commit.value for commit in commits) == min(
        value_of(step) for step in range(1, last[-1] + 1)
    )
    newest = f"runs/{RUN}/checkpoints/{commits[-1].name}/"
    assert {name: bucket.read(newest + name) for name in content_of(1)} == content_of(last[-1])
