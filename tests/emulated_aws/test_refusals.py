"""What cannot be rented is refused in one sentence, before anything is uploaded or asked for."""

from __future__ import annotations

from pathlib import Path

import pytest

from a_laptop import Laptop
from rig.cloud import EmulatedAws

pytestmark = [pytest.mark.cloud, pytest.mark.timeout(600)]

REFUSED = (
    (["--infra", "awz"], 2, "SkyPilot knows no cloud awz\n\nhint: did you mean aws?"),
    (["--infra", "gcp"], 4, "SkyPilot may not use gcp\n\nhint: `sky check gcp` says what is"),
    (["--infra", "aws/us-nowhere-1"], 4, "SkyPilot: Invalid region 'us-nowhere-1'\n"),
    (["--infra", "aws/us-west-2/here"], 4, "SkyPilot: Invalid zone 'here' for region"),
    (["--gpus", "H200"], 4, "no cloud has such an instance at this price now: Catalog does not"),
    (["--hourly-rate", "0.50"], 4, "no cloud has such an instance at this price now"),
)
"""options of a launch, its exit code, and what it says"""


def test_what_cannot_be_rented_is_one_sentence(emulated_aws: EmulatedAws, tmp_path: Path) -> None:
    laptop = Laptop(emulated_aws, tmp_path / "project", "refused")
    known = emulated_aws.instances()
    for options, code, sentence in REFUSED:
        rate = [] if "--hourly-rate" in options else ["--hourly-rate", "9"]
        done = laptop.fintts("cloud", "launch", "--name", "refused", "--yes", *options, *rate)
        assert done.returncode == code, done.stderr
        assert f"error: {sentence}" in done.stderr
    assert emulated_aws.s3().list_objects_v2(Bucket="refused")["KeyCount"] == 0
    assert emulated_aws.instances() == known
    nowhere = {"FINTTS_IMAGE": "ami-0123456789abcdef0"}
    done = laptop.fintts("cloud", "launch", "--yes", "--infra", "aws/us-east-1", **nowhere)
    assert done.returncode == 4, done.stderr
    assert "ami-0123456789abcdef0" in done.stderr
    assert "Traceback" not in done.stderr
    assert emulated_aws.s3().list_objects_v2(Bucket="refused")["KeyCount"] == 0
    examined = laptop.fintts("doctor", "--hourly-rate", "0.50")
    assert examined.returncode == 1
    assert "launch      failed" in examined.stdout, examined.stdout
    examined = laptop.fintts("doctor")
    assert examined.returncode == 0, examined.stdout
    assert "on aws, H100:1, on-demand" in examined.stdout
