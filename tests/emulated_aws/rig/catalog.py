"""SkyPilot's catalogs of what AWS sells, as it would otherwise download them.

A file without a checksum beside it counts as edited by hand, so SkyPilot never replaces it.
"""

from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

VERSION = "v8"
ZONES = {"us-east-1": ("use1-az1", "use1-az2"), "us-west-2": ("usw2-az1", "usw2-az2")}
"""by region; a catalog of SkyPilot names zones by their ids"""
AMI = "ami-0f1e2d3c4b5a69788"
IMAGE_TAGS = (
    "skypilot:custom-cpu-ubuntu",
    "skypilot:custom-gpu-ubuntu",
    "skypilot:custom-gpu-ubuntu-cuda13",
)
ROWS = Path(__file__).parents[2] / "cli" / "infra" / "sky" / "catalogs"
"""some of what the sellers beside AWS offer, as SkyPilot's own catalogs have it"""
SELLERS = ("verda", "runpod", "lambda")
GPU_MEMORY_GIB = {"A100-80GB": 80, "H100": 80}


@dataclass(frozen=True)
class InstanceType:
    """A row of the catalog, in every zone the same."""

    name: str
    gpu: str | None
    gpus: int
    cpus: int
    memory_gib: int
    hourly_usd: str
    spot_hourly_usd: str


H100_TYPE, A100_TYPE = "p5.4xlarge", "p4de.3xlarge"
INSTANCE_TYPES = (
    InstanceType("m6i.2xlarge", None, 0, 8, 32, "0.384", "0.16"),
    InstanceType(H100_TYPE, "H100", 1, 16, 256, "6.88", "3.10"),
    InstanceType("p5.48xlarge", "H100", 8, 192, 2048, "55.04", "22.60"),
    InstanceType("p4de.24xlarge", "A100-80GB", 8, 96, 1152, "27.45", "11.20"),
    # AWS sells them by eight only; one alone is what most runs ask for.
    InstanceType(A100_TYPE, "A100-80GB", 1, 12, 144, "3.43", "1.40"),
)


def write_catalogs(home: Path, types: Iterable[InstanceType] = INSTANCE_TYPES) -> None:
    """Under HOME, where SkyPilot's client and server read them as they start."""
    folder = home / ".sky" / "catalogs" / VERSION
    _write(folder / "aws" / "vms.csv", [row for item in types for row in _rows(item)])
    images = [_image(tag, region) for tag in IMAGE_TAGS for region in ZONES]
    _write(folder / "aws" / "images.csv", images)
    _write(
        folder / "aws" / "instance_quota_mapping.csv",
        [{"InstanceType": "", "SpotInstanceCode": "", "OnDemandInstanceCode": ""}],
    )
    for seller in SELLERS:
        (folder / seller).mkdir()
        shutil.copy(ROWS / f"{seller}.csv", folder / seller / "vms.csv")
    _write(
        folder / "common" / "accelerators.csv",
        [{"AcceleratorName": gpu, "Clouds": "['AWS']"} for gpu in GPU_MEMORY_GIB],
    )
    _write(
        folder / "common" / "metadata.csv",
        [
            {"GPU": gpu, "MemoryGB": memory, "Manufacturer": "NVIDIA"}
            for gpu, memory in GPU_MEMORY_GIB.items()
        ],
    )


def write_amis(path: Path) -> None:
    """The one machine image that EC2 shall know, in moto's own format."""
    image = {
        "ami_id": AMI,
        "name": "ubuntu-22.04",
        "description": "what SkyPilot starts from",
        "owner_id": "099720109477",
        "state": "available",
        "public": True,
        "architecture": "x86_64",
        "image_type": "machine",
        "image_location": "amazon/ubuntu-22.04",
        "root_device_type": "ebs",
        "root_device_name": "/dev/sda1",
        "virtualization_type": "hvm",
        "hypervisor": "xen",
        "sriov": "simple",
    }
    path.write_text(json.dumps([image]))


def _rows(item: InstanceType) -> Iterable[dict[str, object]]:
    for region, zones in ZONES.items():
        for zone in zones:
            yield {
                "InstanceType": item.name,
                "AcceleratorName": item.gpu,
                "AcceleratorCount": item.gpus or None,
                "vCPUs": item.cpus,
                "MemoryGiB": item.memory_gib,
                "GpuInfo": _gpu_info(item),
                "Price": item.hourly_usd,
                "SpotPrice": item.spot_hourly_usd,
                "Region": region,
                "AvailabilityZone": zone,
                "Arch": "x86_64",
                "LocalDiskType": None,
                "NVMeSupported": None,
                "LocalDiskSize": None,
                "LocalDiskCount": None,
                "MaximumEfaInterfaces": None,
            }


def _gpu_info(item: InstanceType) -> str | None:
    """As AWS describes GPUs, in the notation of a Python literal."""
    if item.gpu is None:
        return None
    mebibytes = GPU_MEMORY_GIB[item.gpu] * 1024
    one = {"Name": item.gpu, "Manufacturer": "NVIDIA", "Count": float(item.gpus)}
    gpus = [one | {"MemoryInfo": {"SizeInMiB": mebibytes}}]
    return str({"Gpus": gpus, "TotalGpuMemoryInMiB": mebibytes * item.gpus})


def _image(tag: str, region: str) -> dict[str, object]:
    return {
        "Tag": tag,
        "Region": region,
        "OS": "ubuntu",
        "OSVersion": "22.04",
        "ImageId": AMI,
        "CreationDate": "20260101",
    }


def _write(path: Path, rows: Sequence[Mapping[str, object]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
