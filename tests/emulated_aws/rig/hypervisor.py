"""Serves AWS's API and keeps one namespace for each instance that the API calls running.

A process of its own, so that moto shares neither interpreter nor warnings with a test; it ends when
its standard input does. Its only output is a line when all of it is up.
"""

from __future__ import annotations

import json
import select
import ssl
import subprocess
import sys
import threading
from contextlib import ExitStack
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any

from moto.core.models import DEFAULT_ACCOUNT_ID
from moto.ec2.exceptions import EC2ClientError
from moto.ec2.models import ec2_backends
from moto.iam.models import iam_backends
from moto.instance_metadata import urls as metadata_urls
from moto.instance_metadata.responses import InstanceMetadataResponse
from moto.s3.exceptions import BucketAccessDeniedError
from moto.s3.models import s3_backends
from moto.server import ThreadedMotoServer

from rig import network
from rig.instance import Instance, Machine

if TYPE_CHECKING:
    from moto.ec2.models import EC2Backend
    from moto.ec2.models.instances import Instance as MotoInstance

LOOK_EVERY_SECONDS = 0.1
ROLE = "skypilot-v1"
PORT = 5000
ENDPOINT_URL = f"http://{network.GATEWAY}:{PORT}"


def main() -> None:
    # Whoever starts this process has put tests/support on its path; who imports it need not.
    from atomic_moto import make_puts_atomic

    folder, image, packages, disk_size = sys.argv[1:5]
    regions = sys.argv[5:]
    machine = Machine(Path(image), Path(packages), disk_size, ENDPOINT_URL)
    with ExitStack() as stack:
        network.raise_bridge()
        stack.callback(network.remove_bridge)
        _tell_of_interruptions(Path(folder), regions)
        make_puts_atomic()
        for address, port in (("0.0.0.0", PORT), (network.METADATA, 80)):
            server = ThreadedMotoServer(address, port, verbose=False)
            server.start()
        _answer_as_internet(Path(folder))
        _make_role()
        _heed_what_is_denied(Path(folder))
        hypervisor = Hypervisor(machine, Path(folder), regions)
        stack.callback(hypervisor.destroy_all)
        print("up", flush=True)  # noqa: T201 - the line that is waited for
        while not select.select([sys.stdin], [], [], LOOK_EVERY_SECONDS)[0]:
            hypervisor.reconcile()


class Hypervisor:
    """Makes what runs here follow what EC2's API says."""

    def __init__(self, machine: Machine, folder: Path, regions: list[str]) -> None:
        self._machine = machine
        self._folder = folder / "instances"
        self._backends = [ec2_backends[DEFAULT_ACCOUNT_ID][region] for region in regions]
        for backend in self._backends:
            _open_to_the_internet(backend)
            _heed_what_is_refused(backend, folder, backend.region_name)
        self._running: dict[str, Instance] = {}

    def reconcile(self) -> None:
        """Boots what the API calls running, destroys the rest."""
        self._note_power_offs()
        wanted = self._wanted()
        for instance_id in self._running.keys() - wanted.keys():
            self._running.pop(instance_id).destroy()
        for instance_id in wanted.keys() - self._running.keys():
            booted = Instance(wanted[instance_id], self._machine, self._folder)
            self._running[instance_id] = booted

    def _note_power_offs(self) -> None:
        """As EC2 has it: one that powers itself off is stopped, or terminated where that was asked
        for; a spot instance always is."""
        for instance_id, wanted in self._wanted().items():
            if instance_id in self._running and self._running[instance_id].is_off:
                ends = wanted.instance_initiated_shutdown_behavior == "terminate"
                (wanted.terminate if ends or wanted.lifecycle == "spot" else wanted.stop)()

    def destroy_all(self) -> None:
        while self._running:
            self._running.popitem()[1].destroy()

    def _wanted(self) -> dict[str, MotoInstance]:
        return {
            instance.id: instance
            for backend in self._backends
            for instance in backend.all_instances()
            if instance.state == "running"
        }


REFUSALS = {
    "InsufficientInstanceCapacity": "We have no capacity here at present.",
    "VcpuLimitExceeded": "You have requested more vCPU capacity than your current vCPU limit of 0 "
    "allows for the instance bucket that the specified instance type belongs to.",
}


def refused(folder: Path, code: str, region: str, instance_type: str = "") -> Path:
    """While this file is there the region refuses that type with this code; without one any."""
    return folder / f"{code}-{region}{instance_type and '-'}{instance_type}"


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


def denied(folder: Path, bucket: str) -> Path:
    """While this file is there nobody may write to the bucket."""
    return folder / f"denied-{bucket}"


def _heed_what_is_denied(folder: Path) -> None:
    """Has S3 refuse as AWS does without a permission; moto asks for none."""
    backend = s3_backends[DEFAULT_ACCOUNT_ID]["aws"]
    put_object = backend.put_object

    def refuse_or_put(bucket_name: str, *args: Any, **kwargs: Any) -> Any:
        if denied(folder, bucket_name).exists():
            raise BucketAccessDeniedError(bucket_name)
        return put_object(bucket_name, *args, **kwargs)

    backend.__dict__["put_object"] = refuse_or_put


def interrupted(folder: Path, instance_id: str) -> Path:
    """What the metadata service tells this instance about its end, once this file is there."""
    return folder / f"interrupted-{instance_id}"


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


class _Anything(BaseHTTPRequestHandler):
    """Answers that it is there."""

    def do_HEAD(self) -> None:
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Silence."""


def certificate(folder: Path) -> Path:
    """Of the authority that vouches for `network.INTERNET`; the laptop has to trust it."""
    return folder / "internet.pem"


def _answer_as_internet(folder: Path) -> None:
    key = folder / "internet.key"
    name = ["-subj", "/CN=internet", "-addext", f"subjectAltName=IP:{network.INTERNET}"]
    files = ["-keyout", str(key), "-out", str(certificate(folder))]
    make = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"]
    subprocess.run([*make, *name, *files], check=True, stderr=subprocess.DEVNULL)
    server = ThreadingHTTPServer((network.INTERNET, 443), _Anything)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate(folder), key)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()


if __name__ == "__main__":
    main()
