"""The end of an AWS instance is armed in its user data, before anything else happens on it."""

from __future__ import annotations

import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import boto3
import pytest
import yaml
from jinja2 import Template
from moto import mock_aws

from fake_sky import FakeSky
from fintts_cli.infra.sky.aws import end_with_shutdown
from fintts_cli.infra.sky.ending.power_off import USER_DATA, power_off_command
from fintts_cli.infra.sky.sky import SkyInfra


def now() -> datetime:
    return datetime.now(UTC).replace(microsecond=0)


def launched(tmp_path: Path, sky: FakeSky, **envs: str) -> list[Any]:
    """What a launch leaves for cloud-init."""
    (tmp_path / "bundle").mkdir()
    resources = {"use_spot": True}
    task = {"resources": resources, "workdir": str(tmp_path / "bundle"), "run": "", "envs": envs}
    SkyInfra("aws", tmp_path / "state", sky.session).launch("mine", yaml.safe_dump(task))
    commands: Any = sky.settings_at_launch.get(USER_DATA, [])
    return list(commands)


def minutes_until_off(command: str, tmp_path: Path) -> int:
    """As cloud-init's shell does it, with a power button of the test's."""
    button = tmp_path / "shutdown"
    button.write_text('#!/bin/sh\necho "$@"\n')
    button.chmod(0o755)
    path = {"PATH": f"{tmp_path}:/usr/bin:/bin"}
    done = subprocess.run(
        ["/bin/sh", "-c", command], env=path, check=True, capture_output=True, text=True
    )
    how, in_minutes = done.stdout.split()
    assert how == "-P"
    return int(in_minutes.removeprefix("+"))


def as_skypilot_writes_it(command: str) -> list[str]:
    """The lines of its template, read as cloud-init reads them."""
    template = Template("runcmd:\n{%- for cmd in runcmd %}\n  - {{cmd}}\n{%- endfor %}\n")
    commands: list[str] = yaml.safe_load(template.render(runcmd=[command]))["runcmd"]
    return commands


def test_the_machine_powers_itself_off_when_all_is_over(tmp_path: Path) -> None:
    over_at = f"{now() + timedelta(hours=2):%Y-%m-%dT%H:%M:%SZ}"
    (command,) = launched(tmp_path, FakeSky(), FINTTS_OVER_AT=over_at)
    assert as_skypilot_writes_it(command) == [command]
    assert minutes_until_off(command, tmp_path) in (119, 120)


def test_without_that_moment_the_deadline_counts(tmp_path: Path) -> None:
    deadline = f"{now() + timedelta(hours=1):%Y-%m-%dT%H:%M:%SZ}"
    (command,) = launched(tmp_path, FakeSky(), FINTTS_DEADLINE_AT=deadline)
    assert minutes_until_off(command, tmp_path) in (74, 75)


@pytest.mark.parametrize("least", [1, 15])
def test_a_moment_that_is_past_leaves_some_minutes(tmp_path: Path, least: int) -> None:
    command = power_off_command(now() - timedelta(hours=1), now(), least)
    assert minutes_until_off(command, tmp_path) == least


def test_a_machine_whose_clock_is_behind_gets_no_more_minutes(tmp_path: Path) -> None:
    """As it sees itself: who asked for it has a clock that shows an hour more."""
    asked_at = now() + timedelta(hours=1)
    command = power_off_command(asked_at + timedelta(hours=2), asked_at, 1)
    assert minutes_until_off(command, tmp_path) == 120


def test_what_the_user_has_cloud_init_run_stays(tmp_path: Path) -> None:
    sky = FakeSky()
    theirs: Any = ["apt-get update"]
    sky.settings[USER_DATA] = theirs
    commands = launched(tmp_path, sky, FINTTS_OVER_AT="2026-11-24T12:00:00Z")
    assert commands[0] == "apt-get update"
    assert len(commands) == 2
    assert sky.settings[USER_DATA] == theirs


def test_a_task_without_a_deadline_is_left_as_it_is(tmp_path: Path) -> None:
    assert launched(tmp_path, FakeSky()) == []


def test_what_is_off_is_terminated(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    with mock_aws():
        ec2 = boto3.client("ec2", region_name="eu-north-1")
        ids = []
        for run in ("mine", "another"):
            tags: Any = [{"Key": "fintts-run", "Value": run}]
            made = ec2.run_instances(
                ImageId="ami-12c6146b",
                MinCount=1,
                MaxCount=1,
                TagSpecifications=[{"ResourceType": "instance", "Tags": tags}],
            )
            ids.append(made["Instances"][0]["InstanceId"])
        sky = FakeSky()
        monkeypatch.setattr(
            sky.adaptors.aws, "client", lambda _, region_name: boto3.client("ec2", region_name)
        )
        end_with_shutdown(sky, "eu-north-1", {"fintts-run": "mine"})
        behaviours = [
            ec2.describe_instance_attribute(
                InstanceId=each, Attribute="instanceInitiatedShutdownBehavior"
            )["InstanceInitiatedShutdownBehavior"]["Value"]
            for each in ids
        ]
    assert behaviours == ["terminate", "stop"]
