"""`fintts doctor`: each thing that a launch needs, and what to do where it is missing."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import boto3
import pytest
from moto import mock_aws
from typer.testing import Result

from cli_project import write_project
from command_line import invoke
from fake_sky import FakeSky
from fintts_cli import doctor, rental_checks
from fintts_cli.commands.opening import open_workplace
from fintts_cli.infra.sky import clouds
from fintts_cli.infra.sky.sky import SkyInfra
from fintts_cli.workplace.workplace import Workplace
from fintts_store.probes.probes import CONDITIONAL_WRITE, Finding, Outcome, Verdict
from tiny_run import TINY


@pytest.fixture
def project(own_folder: Path) -> Path:
    return write_project(own_folder)


def ask(*options: str) -> Result:
    return invoke(["doctor", *options])


def findings(*options: str) -> dict[str, dict[str, str]]:
    found = json.loads(ask("--json", *options).stdout)
    failed = any(check["verdict"] == "failed" for check in found["checks"])
    assert found["ok"] is not failed
    return {check["name"]: check for check in found["checks"]}


def test_where_all_is_there_a_launch_would_begin(project: Path) -> None:
    done = ask()
    assert done.exit_code == 0, done.stderr
    lines = done.stdout.splitlines()
    assert [line[2:12].strip() for line in lines[:9]] == [
        "fintts",
        "data",
        "base model",
        "store",
        "state",
        "disk",
        "trainer",
        "GPU",
        "launch",
    ]
    assert "on local" in lines[8]
    assert not (project / "store").exists()  # nothing is left of what was tried


def remove_data(project: Path) -> None:
    shutil.rmtree(project / "speech")


def spoil_data(project: Path) -> None:
    next((project / "speech").glob("*.npy")).write_bytes(b"no array")


def remove_weights(project: Path) -> None:
    copy = shutil.copytree(TINY, project / "base_model")
    (copy / "model.pth").unlink()
    file = project / "fintts.yaml"
    file.write_text(file.read_text().replace(str(TINY), "base_model"))


def block_the_store(project: Path) -> None:
    (project / "store").write_text("no folder")


@pytest.mark.parametrize(
    ("spoil", "name", "said"),
    [
        (remove_data, "data", "does not exist"),
        (spoil_data, "data", "has 1 problem"),
        (remove_weights, "base model", "model.pth"),
        (block_the_store, "store", "list"),
    ],
)
def test_what_keeps_a_launch_from_beginning_is_named(
    project: Path, spoil: Callable[[Path], None], name: str, said: str
) -> None:
    spoil(project)
    assert ask().exit_code == 1
    found = findings()
    assert found[name]["verdict"] == "failed"
    assert said in found[name]["sentence"]
    assert found[name]["hint"]
    assert found["launch"]["verdict"] == "not probed"


@pytest.mark.parametrize(("is_alone", "verdict"), [(False, "failed"), (True, "warning")])
def test_one_writer_needs_no_store_that_keeps_writers_apart(
    project: Path, monkeypatch: pytest.MonkeyPatch, is_alone: bool, verdict: str
) -> None:
    raced = Finding(Verdict.FAILED, "8 of 8 writers won a race", "use another store")
    outcomes = [Outcome(CONDITIONAL_WRITE, raced)]
    monkeypatch.setattr(doctor, "probe_store", lambda _store: outcomes)
    with (project / "fintts.yaml").open("a") as file:
        file.write(f"single_writer: {str(is_alone).lower()}\n")
    found = findings()["store"]
    assert found["verdict"] == verdict
    assert "8 of 8 writers won" in found["sentence"]
    assert found["hint"]


def test_a_run_that_speaks_needs_its_codec(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert findings()["base model"]["verdict"] == "ok"
    monkeypatch.setenv("FINTTS_SAMPLES__HELD_OUT", "1")
    found = findings()["base model"]
    assert found["verdict"] == "failed"
    assert "has no codec.pth" in found["sentence"]
    assert "leave out `samples`" in found["hint"]
    assert "--codec" not in found["hint"], "a launch has no such option"


def test_what_is_not_set_is_said_with_its_mend(project: Path) -> None:
    file = project / "fintts.yaml"
    kept = [line for line in file.read_text().splitlines() if not line.startswith(("data", "base"))]
    file.write_text("\n".join(kept))
    found = findings()
    assert found["data"]["sentence"] == "data is not set"
    assert found["base model"]["sentence"] == "base_model is not set"
    assert "fintts init" in found["base model"]["hint"]


def test_a_run_over_budget_would_not_begin(project: Path) -> None:
    found = findings("--budget", "0.01", "--hourly-rate", "900")
    assert found["launch"]["verdict"] == "failed"
    assert "budget" in found["launch"]["sentence"]


def test_settings_that_make_little_sense_together_are_named(project: Path) -> None:
    with (project / "fintts.yaml").open("a") as settings:
        settings.write("spot: true\n")
    launch = findings()["launch"]
    assert launch["verdict"] == "warning"
    assert "spot is true and infra is local" in launch["sentence"]


def test_a_full_disk_is_found(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    free = SimpleNamespace(free=1000)
    monkeypatch.setattr(shutil, "disk_usage", lambda _folder: free)
    found = findings()
    assert found["disk"]["verdict"] == "failed"
    assert "1.0 kB free" in found["disk"]["sentence"]


def test_a_missing_trainer_is_found(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "find_spec", lambda name: None if name == "peft" else name)
    found = findings()
    assert found["trainer"]["sentence"] == "peft not installed"
    assert found["trainer"]["hint"] == "pip install 'fintts[trainer]'"


@pytest.mark.parametrize(
    ("listed", "verdict"), [("NVIDIA H100 80GB HBM3, 81559 MiB", "ok"), ("", "warning")]
)
def test_the_gpu_is_named(
    project: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    listed: str,
    verdict: str,
) -> None:
    program = tmp_path / "bin" / "nvidia-smi"
    program.parent.mkdir()
    program.write_text(f"#!/bin/sh\necho '{listed}'\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(program.parent), prepend=":")
    found = findings()
    assert found["GPU"]["verdict"] == verdict
    assert listed in found["GPU"]["sentence"]


# An instance that is rented.


class Rented:
    """A project whose run goes to SkyPilot's AWS, with a bucket of moto's as the store."""

    def __init__(self, sky: FakeSky) -> None:
        self.sky = sky
        self.sky.usable = {"AWS": ["compute", "storage"]}
        self.asked: list[str] = []
        self.without_quota: set[str] = set()
        self.sky.Resources = self.resources

    def resources(self, *, infra: str, instance_type: str, use_spot: bool) -> SimpleNamespace:
        assert instance_type
        assert not use_spot
        self.asked.append(infra)
        is_allowed = infra not in self.without_quota
        return SimpleNamespace(
            cloud=SimpleNamespace(check_quota_available=lambda _resources: is_allowed)
        )

    def findings(self, *options: str) -> dict[str, dict[str, str]]:
        return findings("--infra", "aws", "--gpus", "H100", "--store", "s3://bucket/p", *options)


@pytest.fixture
def rented(project: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Rented]:
    rented, real = Rented(FakeSky()), Workplace.infra
    infra = SkyInfra("aws", open_workplace().state, rented.sky.session)
    monkeypatch.setattr(clouds, "sky_session", rented.sky.session)
    # Within one process moto does not keep eight writers apart; its server has tests of its own.
    monkeypatch.setattr(doctor, "probe_store", lambda _store: [])
    monkeypatch.setattr(
        Workplace, "infra", lambda here, name: infra if name == "aws" else real(here, name)
    )
    here = {name: f"/usr/bin/{name}" for name in clouds.PROGRAMS}
    which = shutil.which
    monkeypatch.setattr(shutil, "which", lambda name: here.get(name) or which(name))
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    with mock_aws():
        boto3.client("s3", region_name="us-east-1").create_bucket(Bucket="bucket")
        yield rented


def test_without_a_network_no_cloud_is_asked(
    rented: Rented, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SkyPilot would ask one after the other, for minutes."""
    monkeypatch.setattr(rental_checks, "is_online", lambda: False)
    rented.sky.client.sdk.check = None
    found = rented.findings()
    assert (found["clouds"]["verdict"], found["quota"]["verdict"]) == ("failed", "not probed")
    assert found["clouds"]["sentence"] == "this machine has no network, so no cloud can be asked"
    assert rented.asked == []


def test_for_a_rented_instance_skypilot_and_its_clouds_are_looked_at(rented: Rented) -> None:
    found = rented.findings()
    assert list(found)[6:] == [
        *("SkyPilot", "clouds", "quota", "seller", "keys", "ending", "launch"),
    ]
    assert found["clouds"]["sentence"] == "aws"
    assert found["launch"]["verdict"] != "failed", found
    assert "on aws, H100:1, on-demand" in found["launch"]["sentence"]
    assert rented.sky.calls == []
    assert found["keys"]["sentence"].startswith("no cloud key: an instance on AWS has")
    assert found["ending"]["sentence"] == (
        "SkyPilot's autodown and a timed power-off, even with this machine off"
    )


def test_a_cloud_that_may_not_be_used_is_named(rented: Rented) -> None:
    rented.sky.usable = {"AWS": ["storage"]}
    found = rented.findings()
    assert found["clouds"]["verdict"] == "failed"
    assert found["clouds"]["sentence"] == "SkyPilot may not use aws"
    assert found["clouds"]["hint"] == "`sky check aws` says what is missing"


def test_a_cloud_that_does_not_exist_is_named(rented: Rented) -> None:
    found = rented.findings("--infra", "awz/us-east-1")
    assert found["clouds"]["sentence"] == "SkyPilot knows no cloud awz"
    assert found["clouds"]["hint"] == "did you mean aws?"


def test_without_an_offer_a_launch_would_not_begin(rented: Rented) -> None:
    class ResourcesUnavailableError(Exception):
        """SkyPilot's own, by that name."""

    rented.sky.sold_out = ResourcesUnavailableError("Catalog does not contain it.")
    found = rented.findings()
    assert found["launch"]["verdict"] == "failed"
    assert "no cloud has such an instance at this price" in found["launch"]["sentence"]


def test_then_nothing_is_uploaded(rented: Rented) -> None:
    class ResourcesUnavailableError(Exception):
        """SkyPilot's own, by that name."""

    rented.sky.sold_out = ResourcesUnavailableError("Task 'x' requires AWS which is not enabled.")
    options = ["--infra", "aws", "--gpus", "H100", "--store", "s3://bucket/p", "--yes"]
    refused = invoke(["cloud", "launch", *options])
    assert refused.exit_code == 4
    assert "error: SkyPilot may not use aws\n\nhint: `sky check aws` says" in refused.stderr
    assert boto3.client("s3").list_objects_v2(Bucket="bucket")["KeyCount"] == 0
    assert open_workplace().journal.entries() == ([], [])


def test_places_without_quota_are_named(rented: Rented) -> None:
    assert rented.findings()["quota"]["verdict"] == "ok"
    places = list(dict.fromkeys(rented.asked))
    rented.without_quota = {places[0]}
    found = rented.findings()["quota"]
    assert found["verdict"] == ("failed" if len(places) == 1 else "warning")
    assert places[0] in found["sentence"]
    rented.without_quota = set(places)
    assert rented.findings()["quota"]["verdict"] == "failed"


def test_of_several_gpus_those_without_an_offer_do_not_hide_the_quota(
    rented: Rented, project: Path
) -> None:
    file = project / "fintts.yaml"
    text = file.read_text().replace("hourly_rate_usd: 1.20\n", "")
    file.write_text(text.replace("seconds_per_step: 0.2, ", ""))
    found = rented.findings("--gpus", "any")["quota"]
    assert found["verdict"] == "ok", found["sentence"]
    nowhere = rented.findings("--gpus", "any:63")["quota"]
    assert nowhere["verdict"] == "not probed"
    assert "there is no offer for any GPU of any:63" in nowhere["sentence"]


def test_where_nobody_tells_the_quota_nothing_is_held_against_it(
    rented: Rented, monkeypatch: pytest.MonkeyPatch
) -> None:
    def denied(**_: object) -> None:
        raise RuntimeError("AccessDenied: you may not list quotas")

    monkeypatch.setattr(rented.sky, "Resources", denied)
    assert rented.findings()["quota"]["verdict"] == "not probed"


@pytest.mark.parametrize("program", ["ssh", "rsync"])
def test_what_skypilot_needs_of_this_machine_is_looked_for(
    rented: Rented, monkeypatch: pytest.MonkeyPatch, program: str
) -> None:
    which = shutil.which
    monkeypatch.setattr(shutil, "which", lambda name: None if name == program else which(name))
    found = rented.findings()["SkyPilot"]
    assert found["verdict"] == "failed"
    assert found["sentence"].startswith(f"SkyPilot launches instances with {program}, which")


def test_an_untried_skypilot_is_warned_about(
    rented: Rented, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(clouds, "version", lambda _name: "0.99")
    found = rented.findings()["SkyPilot"]
    assert found["verdict"] == "warning"
    assert found["sentence"].startswith("SkyPilot 0.99, not ")


def test_a_folder_is_no_store_for_a_rented_instance(rented: Rented) -> None:
    found = findings("--infra", "aws", "--gpus", "H100")
    assert found["launch"]["verdict"] == "failed"
    assert "a rented instance cannot reach the folder" in found["launch"]["sentence"]


# Settings with their origins.


def test_each_setting_is_shown_with_its_origin(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FINTTS_TRAINING__BATCH_SIZE", "3")
    shown: dict[str, dict[str, Any]] = json.loads(
        ask("--config", "--json", "--gpus", "H100").stdout
    )
    assert shown["gpus"] == {"value": "H100:1", "origin": "option"}
    assert shown["training.batch_size"] == {
        "value": 3,
        "origin": "FINTTS_TRAINING__BATCH_SIZE",
    }
    assert shown["data"]["origin"].startswith("fintts.yaml:")
    assert shown["spot"] == {"value": False, "origin": "default"}
    text = ask("--config").stdout
    assert text.splitlines()[0].split() == ["SETTING", "VALUE", "FROM"]
    assert len(text.splitlines()) == 1 + len(shown)


def test_another_project_file_is_named_by_a_variable(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = tmp_path / "other.yaml"
    other.write_text("gpus: H100:2\n")
    monkeypatch.setenv("FINTTS_CONFIG", str(other))
    shown = json.loads(ask("--config", "--json").stdout)
    assert shown["gpus"] == {"value": "H100:2", "origin": "other.yaml:1"}


def test_a_broken_configuration_is_one_sentence(project: Path) -> None:
    (project / "fintts.yaml").write_text("gpus: [\n")
    refused = ask()
    assert refused.exit_code == 2
    assert "fintts.yaml" in refused.stderr
