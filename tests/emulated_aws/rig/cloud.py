"""The emulated AWS as a test sees it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import boto3

from rig import catalog, enclosure, faults, internet, laptop, network, processes

if TYPE_CHECKING:
    from mypy_boto3_ec2 import EC2Client
    from mypy_boto3_ec2.type_defs import InstanceTypeDef
    from mypy_boto3_s3 import S3Client

UP_WITHIN_SECONDS = 60.0
DISK_SIZE = "4g"
NOTICE_SECONDS = 120.0
"""as AWS gives it"""


@dataclass(frozen=True)
class InstanceFacts:
    """What EC2 says of an instance, terminated ones included."""

    id: str
    state: str
    region: str
    instance_type: str
    spot: bool
    launched_at: datetime
    tags: dict[str, str]

    @property
    def is_billed(self) -> bool:
        return self.state in ("pending", "running", "stopping", "shutting-down")


class EmulatedAws:
    """AWS for one test session: started and stopped once, or used as a context manager.

    Works in an enclosure only (`enclosure.require_enclosure`); with several at a time their
    bridges would collide.
    """

    def __init__(self, disk_size: str = DISK_SIZE) -> None:
        """`disk_size`: of each instance, as mount's tmpfs takes it (`4g`)."""
        enclosure.require_enclosure()
        self.endpoint_url = network.AWS_URL
        """the same from here and from an instance: of S3, EC2 and all other services"""
        self.folder = Path(tempfile.mkdtemp(prefix="emulated-aws-"))
        self.home = self.folder / "home"
        self.environment = laptop.environment(self.home, internet.certificate(self.folder))
        """for every process that shall see this AWS, and none other"""
        self._disk_size = disk_size
        self._hypervisor: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> EmulatedAws:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        """Returns when AWS's API answers. Raises RuntimeError when it does not come up."""
        laptop.furnish(self.home)
        amis = self.folder / "amis.json"
        catalog.write_amis(amis)
        arguments = [self.folder, enclosure.IMAGE, sysconfig.get_path("purelib"), self._disk_size]
        log = self.folder / "aws.log"
        with log.open("wb") as file:
            self._hypervisor = subprocess.Popen(
                [sys.executable, "-m", "rig.hypervisor", *map(str, arguments), *catalog.ZONES],
                env=os.environ | {"PYTHONPATH": _SOURCES, "MOTO_AMIS_PATH": str(amis)},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=file,
            )
        assert self._hypervisor.stdout is not None
        if self._hypervisor.stdout.readline() != b"up\n":
            said = log.read_text()
            self.stop()
            message = f"the emulated AWS did not start: {said}"
            raise RuntimeError(message)

    def stop(self) -> None:
        """Ends what runs on the laptop and every instance, and removes all files."""
        self.shut_laptop()
        if self._hypervisor is not None:
            self._hypervisor.communicate(timeout=processes.DOWN_WITHIN_SECONDS)
            self._hypervisor = None
        shutil.rmtree(self.folder)

    def check(self, *clouds: str) -> None:
        """What a user does once: from then on prices are those of SkyPilot's catalogs."""
        sky = str(Path(sys.executable).parent / "sky")
        subprocess.run([sky, "check", *clouds], env=self.environment, check=True)

    def keep_logs(self, folder: Path) -> None:
        """Copies what AWS, SkyPilot and each booting instance said, for a reader after the end."""
        shutil.copytree(self.home / "sky_logs", folder / "sky_logs", dirs_exist_ok=True)
        server = self.home / ".sky" / "api_server" / "server.log"
        for log in (self.folder / "aws.log", server, *self.folder.glob("instances/*.console")):
            if log.exists():
                shutil.copy(log, folder)

    def shut_laptop(self) -> None:
        """SIGKILL for all that has this HOME, and for all daemons: SkyPilot's server and what it
        started. The calling process and those that started it live on, and so does the cloud."""
        processes.kill_all(lambda: processes.on_laptop(self.home))

    def instances(self) -> list[InstanceFacts]:
        """As EC2 lists them, in all regions, oldest first."""
        facts = [
            _facts(described, region)
            for region in catalog.ZONES
            for reservation in self.ec2(region).describe_instances()["Reservations"]
            for described in reservation["Instances"]
        ]
        return sorted(facts, key=lambda instance: instance.launched_at)

    def boot(self, region: str, user_data: str = "") -> str:
        """Asks EC2 for an instance that SkyPilot knows nothing of; its id."""
        asked = self.ec2(region).run_instances(
            ImageId=catalog.AMI, MinCount=1, MaxCount=1, UserData=user_data
        )
        return asked["Instances"][0]["InstanceId"]

    def await_boot(self, instance_id: str) -> None:
        """Returns when its SSH server runs; RuntimeError if it does not within a minute."""
        self._await(lambda: self._has_booted(instance_id), f"{instance_id} does not boot")

    def await_end(self, instance_id: str) -> None:
        """Returns when nothing of it runs; RuntimeError if something does after a minute."""
        self._await(lambda: self._first_process(instance_id) is None, f"{instance_id} lives on")

    def preempt(self, instance_id: str) -> None:
        """Takes the instance away without a warning, as a spot market does at its worst."""
        [region] = [item.region for item in self.instances() if item.id == instance_id]
        self.ec2(region).terminate_instances(InstanceIds=[instance_id])

    def announce_end(self, instance_id: str, seconds: float = NOTICE_SECONDS) -> datetime:
        """Tells the instance, and nobody else, that it is to be taken away then; returns when.

        Nothing but the announcement happens: to `preempt` it then is up to the caller.
        """
        ends_at = datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=seconds)
        notice = {"action": "terminate", "time": f"{ends_at:%Y-%m-%dT%H:%M:%SZ}"}
        written = self.folder / "notice"
        written.write_text(json.dumps(notice))
        written.rename(faults.interrupted(self.folder, instance_id))
        return ends_at

    @contextmanager
    def sold_out(self, region: str, instance_type: str = "") -> Iterator[None]:
        """Within the block EC2 refuses new instances there, of that type or of any, for lack of
        capacity."""
        code = "InsufficientInstanceCapacity"
        with _marked(faults.refused(self.folder, code, region, instance_type)):
            yield

    @contextmanager
    def without_quota(self, region: str) -> Iterator[None]:
        """Within the block the account may not have any instance there."""
        with _marked(faults.refused(self.folder, "VcpuLimitExceeded", region)):
            yield

    @contextmanager
    def denied(self, bucket: str) -> Iterator[None]:
        """Within the block nobody may put anything into the bucket."""
        with _marked(faults.denied(self.folder, bucket)):
            yield

    def run_in_instance(
        self, instance_id: str, command: str, user: str = "ubuntu", timeout_seconds: float = 60.0
    ) -> str:
        """The standard output of a shell command there; subprocess.CalledProcessError if it fails,
        LookupError if the instance does not run.

        Goes in beside the network, so it works also where SSH does not.
        """
        first = self._first_process(instance_id)
        if first is None:
            raise LookupError(instance_id)
        entered = ["nsenter", "--target", str(first)]
        entered += ["--mount", "--pid", "--net", "--ipc", "--uts", "--root", "--wd"]
        shell = ["runuser", "--login", user, "--command", command]
        done = subprocess.run(
            [*entered, *shell], check=True, capture_output=True, text=True, timeout=timeout_seconds
        )
        return done.stdout

    def instance_processes(self, instance_id: str) -> list[str]:
        """Command lines of all that runs there, but for what asks."""
        listed = self.run_in_instance(instance_id, "ps -eo args=", user="root")
        return [line for line in listed.splitlines() if not line.startswith(("ps -eo", "runuser"))]

    def console(self, instance_id: str) -> str:
        """What the instance printed while it booted."""
        return (self.folder / "instances" / f"{instance_id}.console").read_text()

    def ec2(self, region: str) -> EC2Client:
        return _ec2(region)

    def s3(self) -> S3Client:
        return _s3()

    def _first_process(self, instance_id: str) -> int | None:
        """Of the instance, seen from outside: the child of the process that made its namespaces."""
        noted = self.folder / "instances" / f"{instance_id}.pid"
        if not noted.exists():
            return None
        return processes.child_of(int(noted.read_text()))

    def _has_booted(self, instance_id: str) -> bool:
        first = self._first_process(instance_id)
        return first is not None and Path(f"/proc/{first}/comm").read_text() == "sshd\n"

    def _await(self, condition: Callable[[], bool], complaint: str) -> None:
        deadline = time.monotonic() + UP_WITHIN_SECONDS
        while not condition():
            if time.monotonic() > deadline:
                raise RuntimeError(complaint)
            time.sleep(0.1)


_TESTS = Path(__file__).parents[2]
_SOURCES = os.pathsep.join(str(_TESTS / name) for name in ("emulated_aws", "support"))
_AS_LAPTOP = boto3.Session(laptop.ACCESS_KEY, laptop.SECRET_KEY)


@contextmanager
def _marked(mark: Path) -> Iterator[None]:
    mark.touch()
    try:
        yield
    finally:
        mark.unlink()


# To make a client takes longer than to ask.
@cache
def _ec2(region: str) -> EC2Client:
    return _AS_LAPTOP.client("ec2", region, endpoint_url=network.AWS_URL)


@cache
def _s3() -> S3Client:
    return _AS_LAPTOP.client("s3", laptop.REGION, endpoint_url=network.AWS_URL)


def _facts(described: InstanceTypeDef, region: str) -> InstanceFacts:
    return InstanceFacts(
        described["InstanceId"],
        described["State"]["Name"],
        region,
        described["InstanceType"],
        described.get("InstanceLifecycle") == "spot",
        described["LaunchTime"],
        {tag["Key"]: tag["Value"] for tag in described.get("Tags", [])},
    )
