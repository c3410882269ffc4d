"""`fintts cloud offers`: what it lists, computes, chooses and refuses."""

from __future__ import annotations

import json
from collections.abc import Callable
from decimal import Decimal
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from checks import every
from cli_project import write_project
from command_line import invoke
from fintts_cli.app import build
from fintts_cli.commands.opening import open_workplace
from fintts_cli.errors import CloudError
from fintts_cli.estimate.offers import RunOffers, refuse_what_cannot_be, run_on_offers
from fintts_cli.estimate.run_inputs import RunInputs
from fintts_cli.infra.sky.prices import renew_prices
from fintts_cli.infra.sky.prices.renew_prices import families, renewed
from fintts_cli.prices.market import cheapest_offer, find_offers, wanted_by
from fintts_cli.prices.snapshot import COLUMNS, Snapshot, load, read_snapshot
from fintts_cli.prices.source import CatalogMissing, FirstToKnow, PriceList
from fintts_cli.settings.model import Settings
from fintts_cli.settings.read import ReadSettings, read_settings
from fintts_cli.views.prices.offers import MEANING, document_of, render_offers
from fintts_cost.errors import OverBudget
from fintts_cost.gpus.accelerators import ACCELERATORS
from fintts_cost.prices.offer import Doubt
from fintts_cost.prices.offers import offers_of
from fintts_inputs.base_model.files import base_model_files
from fintts_store.backends.directory import DirectoryStore
from fintts_store.runs.end_run import end_run
from fintts_store.runs.run_record import BaseModelRef, FileRef
from fintts_store.runs.runs import create_run
from run_samples import DIGEST, record, result

PRICES = """\
cloud,seller,region,zone,instance_type,accelerator,count,gpu_memory_gb,price_usd,spot_price_usd,source,as_of,doubts
aws,,us-east-1,,p4de.24xlarge,A100-80GB,8,,40.96,15.00,v8/aws,2026-11-20,
azure,,westus3,,NC24ads,A100-80GB,1,,3.673,0.404,v6/azure,2026-11-01,old
gcp,,us-east5,,a2-ultragpu-1g,,0,,1.09962,0.31193,v8/gcp,2026-11-20,
gcp,,us-east5,,a2-ultragpu-1g,A100-80GB,1,,4.4242,1.3356,v8/gcp,2026-11-20,
lambda,,,,gpu_1x_a100,A100,1,,1.99,,v8/lambda,2026-11-20,
runpod,,,,1x_A100-80GB,A100-80GB,1,,1.39,1.39,v8/runpod,2026-11-20,
shadeform,crusoe,culpeper-1,,crusoe_A100,A100-80GB,1,,2.00,,v8/shadeform,2026-11-20,
vast,,Oklahoma,,1x-A100_PCIE,A100,1,80,0.87,0.00,v8/vast,2026-11-20,
verda,,FIN-01,,1A100.22V,A100-80GB,1,,1.29,0.4515,v8/verda,2026-11-20,
"""


class Listed:
    """The prices above."""

    def prices(self, accelerator: str, cloud: str | None) -> PriceList:
        return PriceList(load(PRICES), "prices of a test")


def read(**options: object) -> ReadSettings:
    """A run of 360 s at a pace that is declared for an A100-80GB."""
    run = {"forecast.seconds_per_step": 0.5, "training.max_steps": 600}
    durations = {"forecast.setup_seconds": 60.0, "forecast.teardown_seconds": 0.0}
    checks = {"forecast.seconds_per_validation": 0.0, "data": "speech"}
    return read_settings(run | durations | checks | options)


def offers_for(found: ReadSettings, spot: bool | None = None) -> RunOffers:
    wanted = wanted_by(found.settings, spot=spot)
    market, here = find_offers(Listed(), wanted), open_workplace()
    inputs = RunInputs.of(here, found.settings)
    return run_on_offers(here, found, read().settings, market, inputs)


@pytest.fixture
def project(own_folder: Path) -> Path:
    """It runs on this machine."""
    return write_project(own_folder)


@pytest.fixture
def rented(project: Path) -> Path:
    """The same on a machine that SkyPilot chooses."""
    settings = (project / "fintts.yaml").read_text().replace("infra: local\n", "")
    (project / "fintts.yaml").write_text(settings)
    return project


def offers(*arguments: str) -> Result:
    return invoke(["cloud", "offers", *arguments])


def document(*arguments: str) -> dict[str, Any]:
    shown = offers(*arguments, "--json")
    assert shown.exit_code == 0, shown.stderr
    content: dict[str, Any] = json.loads(shown.stdout)
    return content


def test_the_table(rented: Path, golden: Callable[[str, str], None]) -> None:
    golden("offers.txt", render_offers(offers_for(read(budget_usd=Decimal("0.15")))) + "\n")


def test_the_document(rented: Path) -> None:
    content = document_of(offers_for(read(budget_usd=Decimal("0.15")), spot=False))
    assert content["gpus"] == "A100-80GB:1"
    assert content["seconds_per_step"] == {"value": 0.5, "source": "option"}
    assert content["total_seconds"] == 360.0
    listed = content["offers"]
    assert isinstance(listed, list)
    runpod = next(offer for offer in listed if offer["cloud"] == "runpod")
    assert runpod.pop("expected") == {
        "total_seconds": {"low": 360, "likely": 360, "high": 360},
        "billed_seconds": {"low": 360, "likely": 360, "high": 360},
        "cost_usd": dict.fromkeys(("low", "likely", "high"), pytest.approx(0.139)),
        "preemptions": {"low": 0, "likely": 0, "high": 0},
    }
    assert runpod == {
        "cloud": "runpod",
        "region": None,
        "zone": None,
        "seller": None,
        "instance_type": "1x_A100-80GB",
        "accelerator": "A100-80GB",
        "count": 1,
        "spot": False,
        "hourly_rate_usd": 1.39,
        "price": {"source": "snapshot v8/runpod", "as_of": "2026-11-20"},
        "seconds_per_step": {"value": 0.5, "source": "option"},
        "total_seconds": 360.0,
        "cost_usd": 0.14,
        "over_budget": False,
        "doubts": [],
        "cheapest": True,
    }
    assert [offer["cost_usd"] for offer in listed] == sorted(o["cost_usd"] for o in listed)
    assert [offer["cloud"] for offer in listed if offer["over_budget"]] == [
        "shadeform",
        "azure",
        "gcp",
    ]
    assert [offer["cloud"] for offer in listed if offer["cheapest"]] == ["runpod"]


@pytest.mark.parametrize(
    ("gpus", "clouds"),
    [("A100-80GB:8", ["aws"]), ("A100", ["lambda"])],
)
def test_only_what_is_asked_for_fits(gpus: str, clouds: list[str]) -> None:
    market = find_offers(Listed(), wanted_by(Settings(gpus=gpus), spot=False))
    assert [offer.cloud for offer in market.offers] == clouds


@pytest.mark.parametrize(
    ("infra", "count"),
    [
        (None, 6),
        ("local", 6),
        ("*", 6),
        ("gcp", 1),
        ("GCP", 1),
        ("gcp/us-east5", 1),
        ("gcp/US-EAST5/us-east5-a", 1),
        ("gcp/*", 1),
        ("runpod/CA", 1),  # listed without a region: the price is the same in all
        ("*/us-east5", 2),
    ],
)
def test_the_place_is_a_cloud_and_a_region(infra: str | None, count: int) -> None:
    market = find_offers(Listed(), wanted_by(Settings(infra=infra), spot=False))
    assert len(market.offers) == count


@pytest.mark.parametrize(
    ("settings", "spot", "sentence", "hint"),
    [
        ({"gpus": "B200"}, None, "the list has no prices of B200", "there is A100"),
        ({"gpus": "A100-80GB:2"}, None, "for A100-80GB:2", "--gpus A100-80GB:1, A100-80GB:8"),
        ({"infra": "aws"}, None, "for A100-80GB:1 on aws", "one of azure, verda, runpod, gcp, sh"),
        ({"infra": "gcp/us-east1"}, None, "on gcp/us-east1", "--infra with one of"),
        ({"gpus": "A100"}, True, "no spot offer for A100:1", "leave --spot out"),
        ({"gpus": "H100-NVL"}, False, "the list has no prices of H100-NVL", "--hourly-rate"),
    ],
)
def test_no_offer_says_what_there_is(
    settings: dict[str, Any], spot: bool | None, sentence: str, hint: str
) -> None:
    with pytest.raises(CloudError) as caught:
        find_offers(Listed(), wanted_by(Settings(**settings), spot=spot))
    assert sentence in caught.value.message
    assert "prices of a test" in caught.value.message
    assert hint in caught.value.hint
    assert "vast" not in caught.value.hint  # which nobody can get by that name
    assert caught.value.exit_code == 4


def test_a_launch_is_computed_with_the_kind_that_it_rents() -> None:
    assert cheapest_offer(Listed(), Settings()).cloud == "runpod"
    spot = cheapest_offer(Listed(), Settings(spot=True))
    assert (spot.cloud, spot.spot) == ("gcp", True)  # verda cannot be had


def test_what_cannot_be_taken_is_no_price() -> None:
    with pytest.raises(CloudError, match=r"no spot offer .* can be taken: no-discount"):
        cheapest_offer(Listed(), Settings(spot=True, infra="runpod"))


class Silent:
    def prices(self, accelerator: str, cloud: str | None) -> PriceList:
        raise CatalogMissing("it is silent")


def test_the_second_source_is_asked_where_the_first_knows_nothing() -> None:
    assert FirstToKnow(Listed(), Silent()).prices("A100", None).note == "prices of a test"
    rows, note = FirstToKnow(Silent(), Listed()).prices("A100", None)
    assert note == "prices of a test; it is silent"
    assert len(rows) == 9


def test_a_budget_under_the_cheapest_is_refused_with_the_arithmetic(rented: Path) -> None:
    run = offers_for(read(budget_usd=Decimal("0.10")), spot=False)
    with pytest.raises(OverBudget) as caught:
        refuse_what_cannot_be(run)
    assert caught.value.message == (
        "the run is expected to cost $0.14, more than the budget of $0.10: 0.10 h at $1.39 an hour"
        " (runpod 1x_A100-80GB, the cheapest offer without a doubt)"
    )
    assert "training.max_steps" in caught.value.hint
    refuse_what_cannot_be(offers_for(read(budget_usd=Decimal("0.14")), spot=False))


def test_a_doubtful_offer_within_the_budget_does_not_make_the_run_affordable(
    rented: Path,
) -> None:
    """On verda, at $0.129, SkyPilot would leave the machine running."""
    with pytest.raises(OverBudget):
        refuse_what_cannot_be(offers_for(read(budget_usd=Decimal("0.135")), spot=False))


def test_a_pace_that_was_declared_for_another_gpu_is_not_scaled_and_says_so(rented: Path) -> None:
    run = offers_for(read(gpus="A100"))
    (note,) = [note for note in run.notes if "unscaled" in note]
    assert note == (
        "the 0.5 s a step that you set for A100-80GB:1 (option) are used unscaled:"
        " no run has measured A100:1"
    )
    assert document_of(run)["total_seconds"] == 360.0
    assert not [note for note in offers_for(read()).notes if "unscaled" in note]


def test_set_up_and_teardown_of_this_machine_are_not_those_of_a_rented_one(project: Path) -> None:
    here = read(**{"forecast.setup_seconds": 7200.0})
    assert document_of(offers_for(here))["total_seconds"] == 300 + 600 + 110


def test_a_run_that_measured_the_other_gpu_is_believed(rented: Path) -> None:
    found = read_settings({"gpus": "A100", "forecast.seconds_per_step": 0.5})
    model = found.settings.base_model
    assert isinstance(model, Path)
    base_model = BaseModelRef(
        name="m",
        prefix="base_models/m/",
        digest=DIGEST,
        files=tuple(
            FileRef(name=name, size_bytes=(model / name).stat().st_size, sha256=DIGEST)
            for name in base_model_files(model)
        ),
    )
    store = DirectoryStore(rented / "store")
    config = {"data": "d", "base_model": "m", "training": {"batch_size": 4}}
    measured = {"config": config, "base_model": base_model, "gpus": "A100:1"}
    create_run(store, record(run="earlier", infra="gcp", **measured))
    end_run(store, result(run="earlier"))
    run = offers_for(found)
    assert run.estimate is not None
    assert run.estimate.given.seconds_per_step_source == "run earlier, scaled to this work"
    assert not [note for note in run.notes if "unscaled" in note]


def test_the_projects_own_run_is_computed(project: Path) -> None:
    """The project runs on this machine, which nobody rents: all clouds are looked at."""
    content = document("--gpus", "A100-80GB")
    assert content["seconds_per_step"] == {"value": 0.2, "source": "fintts.yaml:11"}
    assert any("that you set for this machine" in note for note in content["notes"])
    assert content["total_seconds"] > 600 + 110  # not the 11 s that are declared for this machine
    kinds = {offer["spot"] for offer in content["offers"]}
    assert kinds == {True, False}
    clouds = {offer["cloud"] for offer in content["offers"]}
    assert {"gcp", "runpod", "azure"} <= clouds
    first = content["offers"][0]
    hours = content["total_seconds"] / 3600
    assert first["cost_usd"] == pytest.approx(hours * first["hourly_rate_usd"], abs=0.005)


def test_either_kind_can_be_asked_for_also_in_the_file(own_folder: Path) -> None:
    kinds = {
        option: {offer["spot"] for offer in document(option)["offers"]}
        for option in ("--spot", "--on-demand")
    }
    assert kinds == {"--spot": {True}, "--on-demand": {False}}
    (own_folder / "fintts.yaml").write_text("spot: true\n")
    assert {offer["spot"] for offer in document()["offers"]} == {True}


def test_without_a_run_there_are_prices_and_a_sentence(own_folder: Path) -> None:
    content = document("--gpus", "H100")
    assert content["total_seconds"] is None
    assert {offer["cost_usd"] for offer in content["offers"]} == {None}
    rates = [offer["hourly_rate_usd"] for offer in content["offers"]]
    assert rates == sorted(rates)
    assert content["notes"][-1].startswith("time and cost are not known: there is no data folder")
    assert offers().stdout.count("–") >= 2 * 20


@pytest.mark.parametrize(
    ("arguments", "code", "sentence", "hint"),
    [
        (["--gpus", "H1000"], 2, "no accelerator named 'H1000'", "H100"),
        (["--gpus", "A100-80G"], 2, "no accelerator named", "did you mean A100-80GB"),
        (["--infra", "local"], 2, "this machine cannot be rented", "cloud"),
        (["--budget", "1"], 2, "time and cost are not known", "without --budget"),
        (["--budget", "0"], 2, "budget_usd", ""),
        (["--gpus", "RTX3090"], 4, "the list has no prices of RTX3090", "RTX4090"),
        (["--gpus", "H100", "--infra", "lambda", "--spot"], 4, "no spot offer", "--infra"),
        (["--gpus", "A100-80GB:2"], 4, "no offer for A100-80GB:2", "A100-80GB:8"),
        (["--infra", "nowhere"], 4, "for A100-80GB:1 on nowhere", "runpod"),
    ],
)
def test_what_cannot_be_is_one_sentence(
    arguments: list[str], code: int, sentence: str, hint: str
) -> None:
    refused = offers(*arguments)
    assert (refused.exit_code, refused.stdout) == (code, "")
    assert sentence in refused.stderr
    assert hint in refused.stderr
    assert "Traceback" not in refused.stderr


def test_offers_none_of_which_can_be_taken_are_shown_and_refused(project: Path) -> None:
    shown = offers("--infra", "hyperstack")
    assert shown.exit_code == 4
    assert "not-rentable" in shown.stdout
    assert "none of these offers for A100-80GB:1 can be used" in shown.stderr


def test_over_budget_is_shown_and_refused(project: Path) -> None:
    shown = offers("--gpus", "A100-80GB", "--budget", "0.001")
    assert shown.exit_code == 3
    assert shown.stdout.count("over budget") > 10
    assert (
        "$1.35 an hour (shadeform massedcompute_A100-80GB, the cheapest offer without a doubt)"
        in " ".join(shown.stderr.split())
    )


def launch(*arguments: str) -> dict[str, Any]:
    shown = CliRunner().invoke(
        build(), ["cloud", "launch", "--dry-run", "--json", *arguments], catch_exceptions=False
    )
    assert shown.exit_code == 0, shown.stderr
    content: dict[str, Any] = json.loads(shown.stdout)
    return content


def test_a_launch_without_a_rate_takes_the_cheapest_offer_as_its_ceiling(project: Path) -> None:
    settings = (project / "fintts.yaml").read_text().replace("hourly_rate_usd: 1.20\n", "")
    (project / "fintts.yaml").write_text(settings)
    planned = launch("--infra", "runpod")
    assert planned["estimate"]["price"]["as_of"] == "2026-11-24"
    assert "max_hourly_cost: 1.39" in planned["task"]
    spot = launch("--infra", "gcp", "--spot")
    assert spot["estimate"]["hourly_rate_usd"] == 1.64753
    assert "max_hourly_cost: 1.64753" in spot["task"]
    shown = invoke(["cloud", "launch", "--dry-run", "--infra", "runpod"])
    assert "$1.39 an hour (runpod 1x_A100-80GB_SECURE on-demand, snapshot" in shown.stdout
    assert "as of 2026-11-24)" in shown.stdout
    assert "a spot run needs" not in shown.stderr
    spot_words = ["cloud", "launch", "--dry-run", "--infra", "gcp", "--spot"]
    assert "a spot run needs SkyPilot's server" in invoke(spot_words).stderr
    assert "max_hourly_cost: 3" in launch("--infra", "runpod", "--hourly-rate", "3")["task"]
    here = invoke(["cloud", "launch", "--dry-run"])
    assert here.exit_code == 0, here.stderr
    assert "$0.00 an hour (this machine)" in here.stdout


def test_the_snapshot_has_a_day_and_a_source_for_every_line() -> None:
    rows = read_snapshot()
    assert len(rows) > 50
    assert every(row.as_of[:4] == "2026" and row.source for row in rows)
    header = files("fintts_cli.prices").joinpath("snapshot.csv").read_text().splitlines()[0]
    assert tuple(header.split(",")) == COLUMNS
    assert "2026-11-24" in Snapshot().prices("A100", None).note


def test_the_snapshots_names_are_known_and_its_machines_are_whole() -> None:
    found = offers_of(read_snapshot())
    assert {offer.accelerator for offer in found} <= ACCELERATORS.keys()
    gcp = [offer for offer in found if (offer.cloud, offer.region) == ("gcp", "us-east5")]
    a100 = {offer.spot: offer for offer in gcp if offer.accelerator == "A100-80GB"}
    assert a100[False].hourly_rate_usd == Decimal("5.52382")
    assert a100[True].hourly_rate_usd == Decimal("1.64753")
    west = [offer for offer in found if offer.doubts and offer.region == "europe-west4"]
    assert [offer.doubts for offer in west] == [(Doubt.BELOW_OWN_SPOT,)]


def test_renewing_replaces_the_lines_of_a_cloud_and_leaves_the_others() -> None:
    fresh = load(PRICES.replace("15.00", "16.00").replace("11-20", "11-23"))
    text = renewed(PRICES, {"aws", "vast"}, [row for row in fresh if row.cloud in ("aws", "vast")])
    before = {row.cloud: row for row in load(PRICES)}
    after = {row.cloud: row for row in load(text)}
    assert after.keys() == before.keys()
    assert {name for name in after if after[name] != before[name]} == {"aws", "vast"}
    assert after["aws"].spot_price_usd == 16
    assert (after["aws"].as_of, after["aws"].source) == ("2026-11-23", "snapshot aws/vms.csv")
    assert after["vast"]._replace(as_of="", source="") == before["vast"]._replace(
        as_of="", source=""
    )
    assert len(load(text)) == len(load(PRICES))
    assert renewed(text, {"gcp"}, []).count("gcp") == 0


def test_renewing_asks_for_the_gpus_that_the_list_is_about() -> None:
    header, *_ = PRICES.splitlines()
    assert families(f"{header}\ngcp,,,,host,,0,,1,,x,2026-11-20,\n") == []
    assert families(PRICES) == ["A100"]
    assert "A100" in families(renew_prices.PRICES.read_text(encoding="utf-8"))


def test_every_doubt_is_explained() -> None:
    assert MEANING.keys() == set(Doubt)
