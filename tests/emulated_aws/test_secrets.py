"""Where secrets lie while a run is at work: planted ones are looked for everywhere."""

from __future__ import annotations

import re
import subprocess
from contextlib import suppress
from pathlib import Path

import pytest

from a_laptop import ENDLESS, Laptop
from rig import laptop as rig_laptop
from rig.cloud import EmulatedAws
from waiting import wait_until

pytestmark = [pytest.mark.cloud, pytest.mark.timeout(900)]

HF_TOKEN = "hf_plantedplantedplanted"
SCAN_SECONDS = 300.0
INSTALLED = ("skypilot-runtime", "sky-user-env", ".local", ".cache")
"""folders of an instance that hold programs of the image"""
OF_SKYPILOT_THERE = (
    r"/tmp/sky_(app|setup)_\S+",
    r"/home/ubuntu/\.sky/sky_app/sky_job_\d+",
    r"/home/ubuntu/\.bash_history",
)
"""the scripts in which SkyPilot gives a job its secrets; they go with the instance"""
OF_SKYPILOT_HERE = (r"\.sky/managed_jobs/\S+\.yaml", r"\.sky/spot_jobs\.db(-wal)?")
"""A managed job's, for an instance that comes later."""


def outside(found: set[str], allowed: tuple[str, ...]) -> list[str]:
    """Those that are none of the places that are allowed."""
    return sorted(path for path in found if not re.fullmatch("|".join(allowed), path))


def on_laptop(folder: Path, secret: str) -> set[str]:
    """Files below a folder that hold it, as paths relative to that."""
    command = ["grep", "-rlaF", "--devices=skip", secret, str(folder)]
    found = subprocess.run(command, capture_output=True, text=True, check=False)
    return {str(Path(line).relative_to(folder)) for line in found.stdout.splitlines()}


def on_instance(cloud: EmulatedAws, instance: str, secret: str) -> set[str]:
    """Files there that hold it, and processes that have it among their arguments."""
    # In pieces: the shell that looks would find it in its own command line.
    look = (
        f"secret={secret[:4]}''{secret[4:]};"
        f" skipped='{' '.join(f'--exclude-dir={name}' for name in INSTALLED)}';"
        ' grep -rlaF --devices=skip $skipped "$secret" /home /root /tmp /etc /var/log 2> /dev/null;'
        ' for each in /proc/[0-9]*; do tr "\\0" " " < $each/cmdline 2> /dev/null'
        ' | grep -qaF "$secret" && echo $each; done; true'
    )
    return set(cloud.run_in_instance(instance, look, "root", SCAN_SECONDS).splitlines())


def in_store(cloud: EmulatedAws, bucket: str, secret: str) -> set[str]:
    s3, found = cloud.s3(), set[str]()
    for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket):
        for item in page.get("Contents", []):
            with suppress(s3.exceptions.NoSuchKey):  # which was rotated away meanwhile
                body = s3.get_object(Bucket=bucket, Key=item["Key"])["Body"].read()
                found |= {item["Key"]} if secret.encode() in body else set()
    return found


def given_to(cloud: EmulatedAws, instance: str) -> dict[str, str]:
    """What of AWS the trainer has in its environment."""
    look = "cat $(grep -lza FINTTS_RUN= /proc/[0-9]*/environ) | tr '\\0' '\\n' | grep ^AWS_"
    lines = cloud.run_in_instance(instance, look, "root").splitlines()
    return {line.partition("=")[0]: line.partition("=")[2] for line in lines}


@pytest.mark.parametrize("kind", ["--on-demand", "--spot"])
def test_planted_secrets_are_nowhere_but_where_they_must_be(
    emulated_aws: EmulatedAws, tmp_path: Path, kind: str
) -> None:
    run = f"secret{kind}"
    laptop = Laptop(emulated_aws, tmp_path / "project", run, on_aws=True)
    laptop.find_clouds()
    launch = ("cloud", "launch", "--name", run, "--yes", "--detach", kind)
    launched = laptop.fintts(*launch, **ENDLESS, HF_TOKEN=HF_TOKEN)
    assert launched.returncode == 0, launched.stderr
    wait_until(lambda: bool(laptop.document("cloud", "ps")[0]["step"]))
    [instance] = [one.id for one in emulated_aws.instances() if one.tags.get("fintts-run") == run]
    given = given_to(emulated_aws, instance)
    assert given["AWS_SECRET_ACCESS_KEY"] != rig_laptop.SECRET_KEY
    for secret in (rig_laptop.SECRET_KEY, HF_TOKEN):
        assert on_instance(emulated_aws, instance, secret) == set()
        assert in_store(emulated_aws, run, secret) == set()
        assert on_laptop(laptop.folder, secret) == set()
        assert on_laptop(emulated_aws.home, secret) <= {".aws/credentials"}
    for secret in (given["AWS_SECRET_ACCESS_KEY"], given["AWS_SESSION_TOKEN"]):
        assert outside(on_instance(emulated_aws, instance, secret), OF_SKYPILOT_THERE) == []
        assert in_store(emulated_aws, run, secret) == set()
        assert on_laptop(laptop.folder, secret) == set()
        assert outside(on_laptop(emulated_aws.home, secret), OF_SKYPILOT_HERE) == []
    down = laptop.fintts("cloud", "down", run)
    assert down.returncode == 0, down.stderr
