"""What an instance is, seen from its inside."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from botocore.exceptions import ClientError

from rig import network
from rig.cloud import EmulatedAws
from waiting import wait_until

pytestmark = [pytest.mark.cloud, pytest.mark.timeout(180)]

HERE = Path(__file__).parent
PYTHON = "~/sky-user-env/bin/python -c"


@pytest.fixture(scope="module")
def instance(emulated_aws: EmulatedAws) -> Iterator[str]:
    """The id of one that nothing was done to."""
    instance_id = emulated_aws.boot("us-east-1")
    emulated_aws.await_boot(instance_id)
    yield instance_id
    emulated_aws.preempt(instance_id)


def test_it_has_the_trainers_packages_and_none_of_ours(
    emulated_aws: EmulatedAws, instance: str
) -> None:
    packages = "accelerate, peft, torch, transformers"
    emulated_aws.run_in_instance(instance, f"{PYTHON} 'import {packages}'")
    with pytest.raises(subprocess.CalledProcessError) as failed:
        emulated_aws.run_in_instance(instance, f"{PYTHON} 'import fintts_trainer'")
    assert "No module named 'fintts_trainer'" in failed.value.stderr


def test_it_sees_nothing_of_this_machine(emulated_aws: EmulatedAws, instance: str) -> None:
    seen = emulated_aws.run_in_instance(instance, "ls -A /home /mnt /opt /root", user="root")
    assert seen == "/home:\nubuntu\n\n/mnt:\n\n/opt:\naws\ntrainer\n\n/root:\n"
    for path in (HERE, emulated_aws.folder):
        emulated_aws.run_in_instance(instance, f"test ! -e {path}", user="root")
    [only] = emulated_aws.instance_processes(instance)
    assert only.startswith("sshd:")


def test_what_it_shares_it_cannot_change(emulated_aws: EmulatedAws, instance: str) -> None:
    with pytest.raises(subprocess.CalledProcessError) as failed:
        emulated_aws.run_in_instance(instance, "touch /opt/trainer/torch/x", user="root")
    assert "Read-only file system" in failed.value.stderr


def test_it_reaches_aws_and_nothing_else(emulated_aws: EmulatedAws, instance: str) -> None:
    get = "curl --silent --show-error --max-time 3"
    assert "<" in emulated_aws.run_in_instance(instance, f"{get} {emulated_aws.endpoint_url}")
    roles = f"http://{network.METADATA}/latest/meta-data/iam/security-credentials/"
    assert emulated_aws.run_in_instance(instance, f"{get} {roles}") == "default-role"
    with pytest.raises(subprocess.CalledProcessError):
        emulated_aws.run_in_instance(instance, f"{get} http://192.0.2.1")


def test_it_alone_is_told_of_its_end_and_only_for_a_token(
    emulated_aws: EmulatedAws, instance: str
) -> None:
    other = emulated_aws.boot("us-west-2")
    emulated_aws.await_boot(other)
    service = f"http://{network.METADATA}/latest"
    code = "curl --silent --max-time 3 --write-out ' %{http_code}'"
    renew = f"{code} -X PUT -H 'X-aws-ec2-metadata-token-ttl-seconds: 60' {service}/api/token"
    ask = f"{code} {service}/meta-data/spot/instance-action"
    token, status = emulated_aws.run_in_instance(instance, renew).split()
    assert status == "200"
    with_token = f"{ask} -H 'X-aws-ec2-metadata-token: {token}'"
    assert emulated_aws.run_in_instance(instance, with_token).endswith(" 404")
    ends_at = emulated_aws.announce_end(instance)
    assert emulated_aws.run_in_instance(instance, ask).endswith(" 401")
    told = emulated_aws.run_in_instance(instance, with_token)
    assert told == f'{{"action": "terminate", "time": "{ends_at:%Y-%m-%dT%H:%M:%SZ}"}} 200'
    assert emulated_aws.run_in_instance(other, with_token).endswith(" 404")
    emulated_aws.preempt(other)


def test_none_is_to_be_had_where_all_are_sold(emulated_aws: EmulatedAws) -> None:
    before = emulated_aws.instances()
    with emulated_aws.sold_out("us-west-2"):
        with pytest.raises(ClientError) as refused:
            emulated_aws.boot("us-west-2")
        assert "InsufficientInstanceCapacity" in str(refused.value)
        assert emulated_aws.instances() == before
    emulated_aws.preempt(emulated_aws.boot("us-west-2"))


def test_a_preempted_one_is_gone(emulated_aws: EmulatedAws) -> None:
    instance_id = emulated_aws.boot("us-west-2")
    emulated_aws.await_boot(instance_id)
    emulated_aws.preempt(instance_id)
    [facts] = [item for item in emulated_aws.instances() if item.id == instance_id]
    assert facts.state == "terminated"
    emulated_aws.await_end(instance_id)
    with pytest.raises(LookupError):
        emulated_aws.run_in_instance(instance_id, "true")


@pytest.mark.parametrize(("behaviour", "state"), [("stop", "stopped"), ("terminate", "terminated")])
def test_it_powers_itself_off_as_its_user_data_say(
    emulated_aws: EmulatedAws, behaviour: str, state: str
) -> None:
    user_data = "#cloud-config\nruncmd:\n  - m=$(( 1 - 1 )); shutdown -P +$m\n"
    instance_id = emulated_aws.boot("us-east-1", user_data)
    emulated_aws.ec2("us-east-1").modify_instance_attribute(
        InstanceId=instance_id, Attribute="instanceInitiatedShutdownBehavior", Value=behaviour
    )
    wait_until(lambda: state_of(emulated_aws, instance_id) == state, 60)
    emulated_aws.preempt(instance_id)


def state_of(cloud: EmulatedAws, instance_id: str) -> str:
    [state] = [one.state for one in cloud.instances() if one.id == instance_id]
    return state
