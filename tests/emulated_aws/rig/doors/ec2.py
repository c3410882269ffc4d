"""AWS's API, by moto: what EC2 calls running is wanted, and S3 is the store of every test."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml
from moto.core.models import DEFAULT_ACCOUNT_ID
from moto.ec2.exceptions import EC2ClientError
from moto.ec2.models import ec2_backends
from moto.iam.models import iam_backends
from moto.instance_metadata import urls as metadata_urls
from moto.instance_metadata.responses import InstanceMetadataResponse
from moto.s3.exceptions import BucketAccessDeniedError
from moto.s3.models import s3_backends
from moto.server import ThreadedMotoServer

from atomic_moto import make_puts_atomic
from rig import network
from rig.faults import denied, interrupted, refused
from rig.wanted import Wanted

if TYPE_CHECKING:
    from moto.ec2.models import EC2Backend
    from moto.ec2.models.instances import Instance as MotoInstance

ROLE = "skypilot-v1"
PUBLIC_KEY = re.compile(r"ssh-(?:rsa|ed25519) \S+")
ENVIRONMENT = {"AWS_ENDPOINT_URL": network.AWS_URL}


class Ec2:
    """A door for the hypervisor; the network has to be up before it is made."""

    def __init__(self, folder: Path, regions: list[str]) -> None:
        """`folder`: where tests leave the files of `rig.faults`."""
        _tell_of_interruptions(folder, regions)
        make_puts_atomic()
        for address, port in (("0.0.0.0", network.AWS_PORT), (network.METADATA, 80)):
            ThreadedMotoServer(address, port, verbose=False).start()
        _make_role()
        _heed_what_is_denied(folder)
        self._backends = [ec2_backends[DEFAULT_ACCOUNT_ID][region] for region in regions]
        for backend in self._backends:
            _open_to_the_internet(backend)
            _heed_what_is_refused(backend, folder, backend.region_name)

    def wanted(self) -> Iterable[Wanted]:
        return [_wanted(instance) for instance in self._running()]

    def note_power_off(self, instance_id: str) -> None:
        """As EC2 has it: one that powers itself off is stopped, or terminated where that was asked
        for; a spot instance always is."""
        for instance in self._running():
            if instance.id == instance_id:
                ends = instance.instance_initiated_shutdown_behavior == "terminate"
                (instance.terminate if ends or instance.lifecycle == "spot" else instance.stop)()

    def _running(self) -> list[MotoInstance]:
        return [
            instance
            for backend in self._backends
            for instance in backend.all_instances()
            if instance.state == "running"
        ]


def _wanted(asked: MotoInstance) -> Wanted:
    addresses = tuple(ip for ip in (asked.private_ip, asked.public_ip) if ip)
    user_data = asked.user_data.decode() if asked.user_data else ""
    return Wanted(
        id=asked.id,
        name=f"ip-{addresses[0].replace('.', '-')}",
        addresses=addresses,
        # SkyPilot's, where cloud-init would read it.
        public_keys=tuple(PUBLIC_KEY.findall(user_data)),
        environment=ENVIRONMENT,
        first_commands=tuple(_first_commands(user_data)),
    )


def _first_commands(user_data: str) -> list[str]:
    """What cloud-init would run as root at the end of the first boot: `runcmd`."""
    content = yaml.safe_load(user_data) or {}
    return [str(command) for command in content.get("runcmd", [])]


REFUSALS = {
    "InsufficientInstanceCapacity": "We have no capacity here at present.",
    "VcpuLimitExceeded": "You have requested more vCPU capacity than your current vCPU limit of 0 "
    "allows for the instance bucket that the specified instance type belongs to.",
}


def _heed_what_is_refused(backend: EC2Backend, folder: Path, region: str) -> None:
    """Has EC2 refuse as AWS does where it has no machine left, or none for this account; moto's own
    always has one."""
    run_instances = backend.run_instances

    def refuse_or_run(*args: Any, **kwargs: Any) -> Any:
        types = ("", str(kwargs.get("instance_type")))
        for code, message in REFUSALS.items():
            if any(refused(folder, code, region, each).exists() for each in types):
                raise EC2ClientError(code, message)
        return run_instances(*args, **kwargs)

    # What the API's request handlers call is looked up on the object.
    backend.__dict__["run_instances"] = refuse_or_run


def _heed_what_is_denied(folder: Path) -> None:
    """Has S3 refuse as AWS does without a permission; moto asks for none."""
    backend = s3_backends[DEFAULT_ACCOUNT_ID]["aws"]
    put_object = backend.put_object

    def refuse_or_put(bucket_name: str, *args: Any, **kwargs: Any) -> Any:
        if denied(folder, bucket_name).exists():
            raise BucketAccessDeniedError(bucket_name)
        return put_object(bucket_name, *args, **kwargs)

    backend.__dict__["put_object"] = refuse_or_put


def _tell_of_interruptions(folder: Path, regions: list[str]) -> None:
    """Has the metadata service answer each instance for itself about its interruption, and, as the
    protocol's second version wants it, nobody without a token; moto knows of neither."""
    backends = [ec2_backends[DEFAULT_ACCOUNT_ID][region] for region in regions]

    def answer(request: Any, full_url: str, headers: Any) -> Any:
        if not full_url.endswith("/latest/meta-data/spot/instance-action"):
            return InstanceMetadataResponse.metadata_response(request, full_url, headers)
        if "X-aws-ec2-metadata-token" not in request.headers:
            return 401, {}, "Unauthorized"
        for backend in backends:
            for instance in backend.all_instances():
                told = interrupted(folder, instance.id)
                here = request.remote_addr in (instance.private_ip, instance.public_ip)
                if here and told.exists():
                    return 200, {}, told.read_text()
        return 404, {}, "Not Found"

    for path in metadata_urls.url_paths:
        metadata_urls.url_paths[path] = answer


def _open_to_the_internet(backend: EC2Backend) -> None:
    """Routes the default VPC outwards, as AWS's own is: moto leaves it without a gateway."""
    vpc_id = backend.default_vpc.id
    gateway = backend.create_internet_gateway()
    backend.attach_internet_gateway(gateway.id, vpc_id)
    for table in backend.describe_route_tables(filters={"vpc-id": vpc_id}):
        backend.create_route(table.id, "0.0.0.0/0", gateway_id=gateway.id)


def _make_role() -> None:
    """SkyPilot's instance profile; where it is missing SkyPilot makes it, and waits 30 s for it."""
    iam = iam_backends[DEFAULT_ACCOUNT_ID]["aws"]
    policy = json.dumps({"Version": "2012-10-17", "Statement": []})
    iam.create_role(ROLE, policy, "/", None, "", [], None)
    iam.create_instance_profile(ROLE, "/", [])
    iam.add_role_to_instance_profile(ROLE, ROLE)
