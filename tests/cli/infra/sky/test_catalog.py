"""SkyPilot's own catalog: prices of the clouds that it may use, from files written by hand.

Each test runs a process of its own: SkyPilot reads its folder's place once, when it is imported.
"""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from cli_project import write_project
from skypilot_folder import SkyPilot

HEADER = (
    "InstanceType,AcceleratorName,AcceleratorCount,vCPUs,MemoryGiB,GpuInfo,Price,SpotPrice,Region,"
)
ZONED = HEADER + "AvailabilityZone\n"


def gpu_info(memory_mib: int) -> str:
    gpus = [{"Name": "A100", "Count": 1.0, "MemoryInfo": {"SizeInMiB": memory_mib}}]
    return f'"{ {"Gpus": gpus, "TotalGpuMemoryInMiB": memory_mib} }"'


CATALOGS = {
    "aws": ZONED
    + f"p5.4xlarge,H100,1,16,256,{gpu_info(81920)},6.88,,us-east-1,use1-az1\n"
    + f"p5.4xlarge,H100,1,16,256,{gpu_info(81920)},8.256,8.256,ap-south-1,aps1-az1\n"
    + f"p4d.24xlarge,A100,8,96,1152,{gpu_info(40960)},32.77,12.10,us-east-1,use1-az1\n"
    + f"p4de.24xlarge,A100-80GB,8,96,1152,{gpu_info(81920)},40.96,15.00,us-east-1,use1-az1\n",
    "gcp": ZONED
    + "a2-ultragpu-1g,,,12,170,,1.1,0.1,us-east5,us-east5-a\n"
    + ",A100-80GB,1,,,A100-80GB,2.2,0.2,us-east5,us-east5-a\n",
    "vast": HEADER
    + "HostingType\n"
    + f'1x-A100_PCIE,A100,1,32,64,{gpu_info(81920)},0.87,0.00,"Oklahoma, US",0\n'
    + f'2x-A100_SXM4,A100,2,32,64,{gpu_info(81920)},1.10,0.00,"Texas, US",0\n',
}


@dataclass(frozen=True)
class Answers:
    """What was asked of AWS, GCP and Vast, and of a cluster of one's own, which has no prices."""

    sky: SkyPilot
    a100: dict[str, Any]
    h100: dict[str, Any]


@pytest.fixture(scope="module")
def answers(tmp_path_factory: pytest.TempPathFactory) -> Answers:
    sky = SkyPilot(tmp_path_factory.mktemp("skypilot"))
    for cloud, text in CATALOGS.items():
        sky.write(cloud, text)
    enabled = ["AWS", "GCP", "Vast", "Kubernetes"]
    return Answers(sky, *sky.ask({"enable": enabled, "gpu": "A100-80GB"}, {"gpu": "H100"}))


def rates(answer: dict[str, Any], accelerator: str, gpus: int = 1) -> dict[tuple[str, bool], str]:
    return {
        (offer["instance_type"], offer["spot"]): offer["hourly_rate_usd"]
        for offer in answer["offers"]
        if (offer["accelerator"], offer["gpus"]) == (accelerator, gpus)
    }


def test_prices_are_those_of_the_catalog(answers: Answers) -> None:
    assert answers.h100["note"] == "prices from SkyPilot's catalog of aws, gcp, vast"
    listed = [
        (offer["region"], offer["spot"], offer["hourly_rate_usd"], offer["doubts"])
        for offer in answers.h100["offers"]
    ]
    assert listed == [
        ("us-east-1", False, "6.88", []),
        ("ap-south-1", False, "8.256", []),
        ("ap-south-1", True, "8.256", ["no-discount"]),
    ]


def test_trap_host_and_gpu_in_two_rows_are_added(answers: Answers) -> None:
    listed = rates(answers.a100, "A100-80GB")
    on_gcp = {kind: listed["a2-ultragpu-1g", kind] for kind in (False, True)}
    assert on_gcp == {False: "3.3", True: "0.3"}


def test_trap_an_a100_of_80_gb_is_found_under_its_short_name(answers: Answers) -> None:
    assert rates(answers.a100, "A100-80GB")["1x-A100_PCIE", False] == "0.87"
    doubts = {offer["instance_type"]: offer["doubts"] for offer in answers.a100["offers"]}
    assert doubts["1x-A100_PCIE"] == ["other-name"]


def test_trap_two_a100_of_40_gb_are_not_taken_for_one_of_80(answers: Answers) -> None:
    """Vast states the memory of all of a machine's GPUs together."""
    assert rates(answers.a100, "A100", 2) == {("2x-A100_SXM4", False): "1.1"}
    assert rates(answers.a100, "A100-80GB", 2) == {}


def test_trap_aws_sells_eight_a100_of_80_gb_and_no_single_one(answers: Answers) -> None:
    aws = {machine for machine, _ in rates(answers.a100, "A100-80GB", 8)}
    assert aws == {"p4de.24xlarge"}
    assert not [machine for machine, _ in rates(answers.a100, "A100-80GB") if machine[:2] == "p4"]


def test_the_command_asks_the_catalog_and_prints_nothing_beside_its_document(
    answers: Answers,
) -> None:
    shown = answers.sky.fintts("cloud", "offers", "--gpus", "H100", "--json")
    assert shown.returncode == 0, shown.stderr
    first = json.loads(shown.stdout)["offers"][0]
    assert (first["hourly_rate_usd"], first["cheapest"]) == (6.88, True)
    assert first["price"]["source"] == "SkyPilot's catalog, aws/vms.csv"


def test_a_launch_is_computed_with_the_catalogs_price(answers: Answers, own_folder: Path) -> None:
    project = write_project(own_folder)
    text = (project / "fintts.yaml").read_text().replace("hourly_rate_usd: 1.20\n", "")
    (project / "fintts.yaml").write_text(text)
    place = ("--infra", "aws", "--gpus", "H100")
    shown = answers.sky.fintts("cloud", "launch", "--dry-run", "--json", *place)
    assert shown.returncode == 0, shown.stderr
    planned = json.loads(shown.stdout)
    price = planned["estimate"]["price"]
    assert planned["estimate"]["hourly_rate_usd"] == 6.88
    assert price["source"] == "aws p5.4xlarge on-demand, SkyPilot's catalog, aws/vms.csv"
    assert "max_hourly_cost: 6.88" in planned["task"]


def test_the_day_of_a_price_is_that_of_the_last_file_that_was_fetched(tmp_path: Path) -> None:
    """SkyPilot touches a file that it could not renew; its checksum tells the truth."""
    sky = SkyPilot(tmp_path / "other")
    sky.write("aws", CATALOGS["aws"])
    sky.write(".meta/aws", "of what was fetched", name="vms.csv.md5")
    sky.write("gcp", CATALOGS["gcp"])
    checksum = str(sky.catalog(".meta/aws", name="vms.csv.md5"))
    by_hand = str(sky.catalog("gcp"))
    fetched, written = sky.ask(
        {"enable": ["AWS"], "touch": checksum, "at": 1_750_000_000, "gpu": "H100"},
        {"enable": ["GCP"], "touch": by_hand, "at": 1_760_000_000, "gpu": "A100"},
    )
    assert {offer["as_of"] for offer in fetched["offers"]} == {"2025-06-15"}
    assert {offer["as_of"] for offer in written["offers"]} == {"2025-10-09"}


def test_a_cloud_whose_prices_cannot_be_had_does_not_hide_the_others(tmp_path: Path) -> None:
    sky = SkyPilot(tmp_path / "other")
    sky.write("aws", CATALOGS["aws"])
    sky.write("vast", "this is no price list\n")
    of_its_own, unreachable, one = sky.ask(
        {"enable": ["Kubernetes"], "gpu": "H100"},
        {"enable": ["RunPod"], "gpu": "H100"},
        {"enable": ["AWS", "Vast", "RunPod"], "gpu": "H100"},
    )
    assert "SkyPilot has no cloud enabled" in of_its_own["missing"]
    assert unreachable["missing"].startswith("SkyPilot's catalog of runpod: ")
    assert one["note"].startswith("prices from SkyPilot's catalog of aws; without runpod: ")
    assert "; without vast: " in one["note"]
    assert len(one["offers"]) == 3
    shown = sky.fintts("cloud", "offers", "--gpus", "H100", "--json")
    assert "Failed to fetch RunPod catalog" in shown.stderr  # SkyPilot's own words
    assert len(json.loads(shown.stdout)["offers"]) == 3


def test_a_machine_on_which_nothing_is_enabled_is_left_as_it_is(tmp_path: Path) -> None:
    sky = SkyPilot(tmp_path / "other")
    shown = sky.fintts("cloud", "offers", "--gpus", "H100", "--json")
    note = json.loads(shown.stdout)["notes"][0]
    assert note.endswith("fintts; SkyPilot has no cloud enabled; `sky check` looks for some")
    assert [path.name for path in sky.folder.rglob("*")] == ["home"]


def python(program: str, environment: dict[str, str]) -> str:
    done = subprocess.run(
        [sys.executable, "-c", program], check=True, capture_output=True, text=True, env=environment
    )
    return done.stdout


def test_skypilot_is_not_waited_for_without_end(answers: Answers) -> None:
    program = (
        "import os\n"
        "from fintts_cli.infra.sky.prices.catalog import SkyCatalog\n"
        "try: SkyCatalog(limit_seconds=0.001).prices('H100', None)\n"
        "except Exception as error: print(type(error).__name__, error, flush=True)\n"
        "os._exit(0)\n"
    )
    said = python(program, answers.sky.environment)
    assert said == "CatalogMissing SkyPilot's catalog did not answer in 0.001 s\n"


def test_a_cloud_that_may_not_be_used_is_looked_up_in_the_list_that_comes_along(
    answers: Answers,
) -> None:
    program = (
        "from fintts_cli.commands.opening import open_workplace\n"
        "print(open_workplace().offers().prices('A100-80GB', 'runpod').note)\n"
    )
    said = python(program, answers.sky.environment)
    assert said.endswith("fintts; SkyPilot may not use runpod\n")


def test_a_machine_without_skypilot_has_the_list_that_comes_along(answers: Answers) -> None:
    program = (
        "import importlib.util as util\n"
        "find = util.find_spec\n"
        "util.find_spec = lambda name, *a: None if name == 'sky' else find(name, *a)\n"
        "from fintts_cli.commands.opening import open_workplace\n"
        "print(open_workplace().offers().prices('H100', None).note)\n"
    )
    said = python(program, answers.sky.environment)
    assert said.endswith("from the list that comes with fintts; SkyPilot is not installed here\n")
