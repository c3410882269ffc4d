"""Where a secret lies that was planted: on an instance, in the store, on the laptop."""

from __future__ import annotations

import re
import subprocess
from contextlib import suppress
from pathlib import Path

from rig.cloud import EmulatedAws

SCAN_SECONDS = 300.0
INSTALLED = ("skypilot-runtime", "sky-user-env", ".local", ".cache")
"""folders of an instance that hold programs of the image"""


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
