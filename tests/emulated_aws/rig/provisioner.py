"""SkyPilot's own provisioner of one cloud in a process of its own, and the handle of a test on it.

The process has the laptop's HOME, where SkyPilot's modules look for keys as they are imported.
"""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
from dataclasses import dataclass
from typing import Any

POLL_SECONDS = 0.2
"""between two looks of SkyPilot, which would wait for 5 s"""
POLLS = 25
"""after which it gives up where it ever does, instead of 192"""
REGIONS = {"verda": "FIN-01", "runpod": "CA", "lambda": "us-east-1"}
ZONE = "CA-MTL-1"
TYPES = {
    "verda": "1A100.22V",
    "runpod": "1x_A100-80GB_SECURE",
    "lambda": "gpu_1x_h100_pcie",
}
KEY_NAME = "emulated"
PUBLIC_KEY = "ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAAAgQC7 laptop"


class SkyError(Exception):
    """SkyPilot raised; the text starts with the name of its exception."""


@dataclass(frozen=True)
class Provisioner:
    """Of one cloud; asks one thing at a time."""

    cloud: str
    process: subprocess.Popen[str]

    @classmethod
    def start(cls, cloud: str, environment: dict[str, str], *plugins: str) -> Provisioner:
        """`plugins` names modules of ours that change how SkyPilot's server works."""
        process = subprocess.Popen(
            [sys.executable, __file__, cloud, *plugins],
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        return cls(cloud, process)

    def run(self, name: str, spot: bool = False) -> list[str]:
        """Ids of what was made for the cluster of this name, when SkyPilot calls it ready."""
        self.begin("run", name, spot)
        made: list[str] = self.end()
        return made

    def statuses(self, name: str) -> list[str]:
        """What SkyPilot takes the instances of the cluster for."""
        self.begin("statuses", name)
        found: list[str] = self.end()
        return found

    def terminate(self, name: str) -> None:
        self.begin("terminate", name)
        self.end()

    def begin(self, *words: object) -> None:
        """Asks without waiting for the answer."""
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(words) + "\n")
        self.process.stdin.flush()

    def is_waiting(self, seconds: float) -> bool:
        """Whether there is no answer within this time."""
        assert self.process.stdout is not None
        return not select.select([self.process.stdout], [], [], seconds)[0]

    def end(self) -> Any:
        """The answer; SkyError if SkyPilot raised."""
        assert self.process.stdout is not None
        answer = json.loads(self.process.stdout.readline())
        if "error" in answer:
            raise SkyError(answer["error"])
        return answer["result"]

    def kill(self) -> None:
        self.process.kill()
        self.process.communicate()


def main() -> None:
    # SkyPilot's loggers write to whatever is standard output when they are made.
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    cloud, *plugins = sys.argv[1:]
    _hurry(cloud)
    _install(plugins)
    for line in sys.stdin:
        try:
            answer = {"result": _do(cloud, *json.loads(line))}
        except Exception as error:
            answer = {"error": f"{type(error).__name__}: {error}"}
        answers.write(json.dumps(answer) + "\n")


def _do(cloud: str, verb: str, name: str, spot: bool = False) -> object:
    from sky import provision

    on_cloud = f"{name}-0badcafe" if name.startswith("fintts-") else f"{name}-on-cloud"
    match verb:
        case "run":
            _register_key(cloud)
            made = provision.run_instances(
                cloud, REGIONS[cloud], name, on_cloud, config=_config(cloud, spot)
            )
            return made.created_instance_ids
        case "statuses":
            found = provision.query_instances(cloud, name, on_cloud, {"any": "thing"})
            return [status.name for status, _ in found.values() if status is not None]
        case "terminate":
            return provision.terminate_instances(cloud, on_cloud, {})
        case _:
            raise LookupError(verb)


def _config(cloud: str, spot: bool) -> Any:
    """What SkyPilot's templates make of a task, as far as it matters here."""
    from sky.provision import common

    node = {
        "InstanceType": TYPES[cloud],
        "DiskSize": 100,
        "ImageId": "an-image",
        "Preemptible": spot,
        "PublicKey": PUBLIC_KEY,
        "BidPerGPU": 1.39,
    }
    return common.ProvisionConfig(
        provider_config={"zones": None, "availability_zone": ZONE},
        authentication_config={"remote_key_name": KEY_NAME},
        docker_config={},
        node_config=node,
        count=1,
        tags={},
        resume_stopped_nodes=False,
        ports_to_open_on_launch=None,
    )


def _register_key(cloud: str) -> None:
    """As SkyPilot does before it provisions."""
    match cloud:
        case "verda":
            from sky.provision.verda.instance import verda

            verda.ssh_keys_create(KEY_NAME, PUBLIC_KEY)
        case "lambda":
            from sky.provision.lambda_cloud.lambda_utils import LambdaCloudClient

            LambdaCloudClient().register_ssh_key(KEY_NAME, PUBLIC_KEY)
        case _:
            """The key travels with the order."""


def _install(plugins: list[str]) -> None:
    """As SkyPilot's server does when it starts."""
    import importlib

    from sky.server.plugins import ExtensionContext

    for name in plugins:
        module, _, plugin = name.rpartition(".")
        getattr(importlib.import_module(module), plugin)().install(ExtensionContext())


def _hurry(cloud: str) -> None:
    """Shortens SkyPilot's pauses; an AttributeError here says that it was renewed."""
    import importlib

    module = {"lambda": "lambda_cloud"}.get(cloud, cloud)
    instance = importlib.import_module(f"sky.provision.{module}.instance")
    shorter: dict[Any, dict[str, float]] = {instance: {"POLL_INTERVAL": POLL_SECONDS}}
    if cloud == "verda":
        shorter[instance]["MAX_POLLS_FOR_UP_OR_TERMINATE"] = POLLS
    if cloud == "lambda":
        shorter[instance.lambda_utils] = {"INITIAL_BACKOFF_SECONDS": POLL_SECONDS}
    for where, values in shorter.items():
        for name, value in values.items():
            getattr(where, name)
            setattr(where, name, value)


if __name__ == "__main__":
    main()
