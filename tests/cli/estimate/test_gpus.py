"""Several GPUs to choose from: estimate, offers, plan, task, and the bill of what it got."""

from __future__ import annotations

import json
import re
import shutil
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import Result

from checks import every
from cli_project import write_project
from command_line import invoke
from fintts_cli.commands.opening import open_workplace
from fintts_cli.infra import Span
from fintts_cli.launch.prepare import prepare
from fintts_cli.runs.bill.terms import Rates
from fintts_cli.runs.instances.view import InstanceView
from fintts_cli.runs.report.kept import kept_of
from fintts_cli.runs.report.report import build_report
from fintts_cli.runs.status.merge import view_run
from fintts_cli.settings.gpus import named_gpus, split_gpus
from fintts_cli.settings.read import read_settings
from fintts_cost.gpus.accelerators import ACCELERATORS
from fintts_cost.gpus.memory import MemoryModel
from fintts_cost.plan.reach import seconds_to, with_last_save
from fintts_store.runs.run_record import PriceRef, RentalRef, RunRecord
from fintts_store.runs.runs import create_run, read_run
from memory_store import MemoryStore
from released_shapes import S1_MINI
from run_samples import MINUTE, START, record, result, status
from tiny_run import TINY

BOTH = "A100-80GB,H100-SXM"
"""as runpod has them"""
ANYWHERE = "A100-80GB,H100"
NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
QUICK = RentalRef(
    gpus="H100:1",
    price=PriceRef(hourly_rate_usd=Decimal("2.40"), source="another list"),
    estimate={"training_seconds": 600.0, "cost_usd": 0.4},
)


@pytest.fixture
def rented(own_folder: Path) -> Path:
    """A project without the figures that are true of one GPU, or of this machine."""
    write_project(own_folder)
    file = own_folder / "fintts.yaml"
    text = file.read_text().replace("infra: local\n", "").replace("hourly_rate_usd: 1.20\n", "")
    file.write_text(text.replace("forecast: {seconds_per_step: 0.2, ", "forecast: {"))
    return own_folder


def fintts(*words: str) -> Result:
    return invoke(list(words))


def document(*words: str) -> dict[str, Any]:
    done = fintts(*words, "--json")
    assert done.exit_code == 0, done.stderr
    content: dict[str, Any] = json.loads(done.stdout)
    return content


@pytest.mark.parametrize(
    "text",
    ["gpus: a100-80gb, h100:1\n", "gpus: [A100-80GB, H100]\n", "gpus: A100-80GB,H100,H100\n"],
)
def test_several_are_written_with_commas_or_as_a_list(own_folder: Path, text: str) -> None:
    (own_folder / "fintts.yaml").write_text(text)
    assert read_settings({}).settings.gpus == "A100-80GB:1,H100:1"


def test_a_launch_asks_for_each_at_its_own_rate_the_cheapest_run_first(rented: Path) -> None:
    planned = document("cloud", "launch", "--dry-run", "--infra", "runpod", "--gpus", BOTH)
    ordered = yaml.safe_load(planned["task"])["resources"]["ordered"]
    assert {each["accelerators"] for each in ordered} == {"A100-80GB:1", "H100-SXM:1"}
    costs = {
        name: document("estimate", "--infra", "runpod", "--gpus", name)["cost_usd"]
        for name in BOTH.split(",")
    }
    cheapest = min(costs, key=lambda name: costs[name])
    assert ordered[0]["accelerators"] == f"{cheapest}:1"
    assert planned["estimate"]["cost_usd"] == costs[cheapest]
    shown = fintts("cloud", "launch", "--dry-run", "--infra", "runpod", "--gpus", BOTH).stdout
    for each in ordered:
        assert f"{each['accelerators']}: ${each['max_hourly_cost']:.2f} an hour" in shown


def test_a_gpu_that_nobody_offers_is_left_out_and_that_is_said(rented: Path) -> None:
    words = ["cloud", "launch", "--dry-run", "--show-task", "--infra", "runpod", "--gpus"]
    done = fintts(*words, "H100-SXM,RTX3090")
    assert done.exit_code == 0, done.stderr
    assert "the list has no prices of RTX3090 " in done.stderr
    assert 'accelerators: "H100-SXM:1"' in done.stdout
    assert "ordered" not in done.stdout
    nobody = fintts(*words, "RTX3090,H200:3")
    assert nobody.exit_code == 4
    assert "the list has no prices of RTX3090" in nobody.stderr


@pytest.mark.parametrize(
    ("text", "wanted"),
    [("ANY", "any:1"), ("24gb+:2", "24GB+:2"), ("h100, 140GB+,any,any:1", "H100:1,140GB+:1,any:1")],
)
def test_a_group_of_gpus_has_one_spelling(own_folder: Path, text: str, wanted: str) -> None:
    assert read_settings({"gpus": text}).settings.gpus == wanted


def test_a_group_means_the_known_gpus_with_at_least_that_memory() -> None:
    assert set(split_gpus("any:1")) == {f"{name}:1" for name in ACCELERATORS}
    assert split_gpus("140GB+:2") == ("B200:2", "H200:2", "H200-SXM:2")
    assert split_gpus("H200:1,140GB+:1") == ("H200:1", "B200:1", "H200-SXM:1")
    assert {"A10:1", "A10G:1"} <= set(split_gpus("24GB+:1"))
    assert named_gpus("H200:1,140GB+:1,any:1") == {"H200:1"}


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("999GB+", "no known GPU has 999GB: the largest is B200, with 180 GB"),
        ("any:0", "the number of GPUs is 1 to 64"),
        ("24GB", "there is no accelerator named '24GB'"),
    ],
)
def test_a_group_that_cannot_be_is_refused(own_folder: Path, text: str, reason: str) -> None:
    done = fintts("estimate", "--gpus", text)
    assert done.exit_code == 2
    assert reason in done.stderr


def test_a_launch_on_any_gpu_takes_those_with_an_offer_the_cheapest_run_first(rented: Path) -> None:
    words = ["cloud", "launch", "--dry-run", "--show-task", "--infra", "lambda", "--gpus"]
    asked = {each: document(*words, each) for each in ("any", "40GB+")}
    ordered = {
        each: [one["accelerators"] for one in yaml.safe_load(plan["task"])["resources"]["ordered"]]
        for each, plan in asked.items()
    }
    assert set(ordered["any"]) == {"A100:1", "A6000:1", "H100:1"}
    assert ordered["40GB+"] == ordered["any"]
    only = fintts(*words, "49GB+")
    assert 'accelerators: "H100:1"' in only.stdout
    assert "the list has no prices" not in only.stderr
    estimated = document("estimate", "--infra", "lambda", "--gpus", "any")
    assert estimated["gpus"] == ordered["any"][0]
    assert estimated["cost_usd"] == asked["any"]["estimate"]["cost_usd"]


def test_offers_for_any_gpu_are_one_list(rented: Path) -> None:
    content = document("cloud", "offers", "--gpus", "any", "--infra", "runpod", "--on-demand")
    costs = [offer["cost_usd"] for offer in content["offers"]]
    assert costs == sorted(costs)
    assert len({offer["accelerator"] for offer in content["offers"]}) > 1
    nowhere = fintts("cloud", "offers", "--gpus", "any:63")
    assert nowhere.exit_code == 4, nowhere.output
    assert "there is no offer for any GPU of any:63" in nowhere.stderr


@pytest.mark.parametrize("command", [["estimate"], ["cloud", "offers"]])
def test_any_leaves_out_gpus_whose_memory_is_too_small(rented: Path, command: list[str]) -> None:
    """A GPU that is named stays, since it was asked for."""
    words = [*command, "--infra", "lambda", "--gpus"]
    write_model_of(rented, gigabytes=60)
    left_out = "left out, since not even one utterance fits in memory: A100:1, A6000:1"
    done = fintts(*words, "any")
    assert done.exit_code == 0, done.stderr
    assert left_out in " ".join(done.stdout.split())
    named = fintts(*words, "A100,A6000,any")
    assert named.exit_code == 0, named.stderr
    assert "left out" not in " ".join(named.stdout.split())
    write_model_of(rented, gigabytes=110)
    nowhere = fintts(*words, "any")
    assert nowhere.exit_code == 4, nowhere.output
    assert "no GPU of any:1 that has an offer has enough memory" in nowhere.stderr


def write_model_of(project: Path, *, gigabytes: int) -> None:
    """A model whose description alone says that it has so many weights."""
    folder = project / f"model-{gigabytes}"
    shutil.copytree(TINY, folder)
    config = json.loads((folder / "config.json").read_text())
    config |= {"dim": 2048, "intermediate_size": 8192, "head_dim": 64, "n_layer": gigabytes * 9}
    (folder / "config.json").write_text(json.dumps(config))
    file = project / "fintts.yaml"
    file.write_text(re.sub("base_model: .*", f"base_model: {folder.name}", file.read_text()))


def test_a_budget_for_one_deadline_leaves_the_other_out(rented: Path) -> None:
    """Prices of runpod's list, and a run whose steps take the time that the FLOPs say."""
    words = ["cloud", "launch", "--dry-run", "--show-task", "--infra", "runpod", "--gpus", BOTH]
    setup = {"forecast.setup_seconds": 3600.0, "infra": "runpod", "gpus": BOTH, "name": "mine"}
    plan = prepare(open_workplace(), read_settings(setup), NOON).plan
    first, second = plan.choices
    slowest = max(
        seconds_to(each.estimate.given, each.estimate.expected.stop_step) for each in plan.choices
    )
    both = (with_last_save(slowest) + plan.reserve.total_seconds) * second.hourly_rate_usd / 3600
    (rented / "fintts.yaml").write_text(
        (rented / "fintts.yaml").read_text().replace("setup_seconds: 10", "setup_seconds: 3600")
    )
    less = fintts(*words, "--budget", f"{both - Decimal('0.01'):.4f}")
    assert less.exit_code == 0, less.stderr
    assert f"{second.gpus} is left out" in less.stderr
    assert f'accelerators: "{first.gpus}"' in less.stdout
    enough = fintts(*words, "--budget", f"{both + Decimal('0.01'):.4f}")
    assert "is left out" not in enough.stderr
    assert "ordered:" in enough.stdout


def test_figures_of_one_gpu_are_refused_for_several(rented: Path) -> None:
    for option in (["--hourly-rate", "1.2"], []):
        if not option:
            with (rented / "fintts.yaml").open("a") as file:
                file.write("hourly_rate_usd: 1.20\n")
        done = fintts("cloud", "launch", "--dry-run", "--infra", "runpod", "--gpus", BOTH, *option)
        assert done.exit_code == 2, done.stderr
        assert "holds for one GPU, but gpus names several" in done.stderr
        assert "A100-80GB:1, H100-SXM:1" in done.stderr
    declared = fintts("estimate", "--gpus", BOTH, "--seconds-per-step", "2")
    assert declared.exit_code == 2
    assert "holds for one GPU" in declared.stderr


def test_the_estimate_is_that_of_the_cheapest_and_names_the_other(rented: Path) -> None:
    text = " ".join(fintts("estimate", "--infra", "runpod", "--gpus", BOTH).stdout.split())
    assert ", the cheapest for it" in text
    for gpus in ("A100-80GB:1 runpod whole 1.39", "H100-SXM:1 runpod whole 3.29"):
        assert gpus in text


def test_a_person_with_ten_dollars_can_decide_on_s1_mini(own_folder: Path) -> None:
    """Its LoRA fits 24 GB; the slow end of an A10G's forecast is beyond ten dollars."""
    (own_folder / "s1").mkdir()
    (own_folder / "s1" / "config.json").write_text(json.dumps(S1_MINI))
    (own_folder / "fintts.yaml").write_text("base_model: s1\n")
    words = ["estimate", "--samples", "2000", "--gpus", "any"]
    content = document(*words)
    choices = content["choices"]
    costs = [each["cost_usd"] for each in choices]
    assert costs == sorted(costs)
    assert content["gpus"] == choices[0]["gpus"]
    assert {"RTX4090:1", "L4:1", "A10G:1", "A6000:1", "A100-80GB:1", "H100:1"} <= {
        each["gpus"] for each in choices
    }
    assert "GH200:1" not in {each["gpus"] for each in choices}
    assert every(each["micro_batches"] == 1 for each in choices)
    assert every(each["at_most"]["cost_usd"] > each["cost_usd"] for each in choices)
    text = fintts(*words, "--budget", "0.5", "--explain").stdout
    header, *rows = [line.strip() for line in text.split("cheapest run first")[1].splitlines()[1:]]
    assert header.split() == ["GPU", "where", "a", "batch", "$/h", "hours", "cost"]
    shown = rows[: rows.index("")]
    assert [row.split()[0] for row in shown] == [each["gpus"] for each in choices]
    over = [row.split()[0] for row in shown if "!" in row]
    assert over == [each["gpus"] for each in choices if each["cost_usd"] > 0.5]
    assert over
    assert every(len(line) <= 76 for line in (header, *shown))


@pytest.mark.parametrize(
    ("gigabytes", "parts"),
    [(40, 1), (10, 1), (9.9, 2), (5.9, 3), (4, 4), (3, 8), (2.9, None), (1.0, None)],
)
def test_a_batch_is_split_into_as_few_parts_as_fit(gigabytes: float, parts: int | None) -> None:
    model = MemoryModel(
        weights_bytes=17 * 10**8,
        adapter_bytes=75 * 10**6,
        gradient_bytes=75 * 10**6,
        optimizer_bytes=150 * 10**6,
        sample_bytes=10**9,
    )
    assert model.micro_batches(8, round(gigabytes * 10**9)) == parts


def test_offers_for_several_gpus_are_one_list_by_the_cost_of_the_run(rented: Path) -> None:
    content = document("cloud", "offers", "--gpus", ANYWHERE, "--on-demand")
    assert content["gpus"] == "A100-80GB:1,H100:1"
    costs = [offer["cost_usd"] for offer in content["offers"]]
    assert costs == sorted(costs)
    times = {offer["accelerator"]: offer["total_seconds"] for offer in content["offers"]}
    assert times.keys() == {"A100-80GB", "H100"}
    assert times["H100"] == times["A100-80GB"]  # both wait for the launches of so small a model
    (cheapest,) = [offer for offer in content["offers"] if offer["cheapest"]]
    assert cheapest["total_seconds"] == content["total_seconds"]
    table = fintts("cloud", "offers", "--gpus", ANYWHERE, "--on-demand").stdout
    assert table.splitlines()[0].startswith("GPU")
    assert "time and cost on H100:1" in table
    assert "time and cost on A100-80GB:1" in table
    one = fintts("cloud", "offers", "--gpus", "H100,RTX3090", "--on-demand")
    assert "the list has no prices of RTX3090" in one.stdout
    assert fintts("cloud", "offers", "--gpus", "RTX3090,GH200:8").exit_code == 4


def test_a_pace_that_was_declared_for_one_place_is_not_taken_for_several(own_folder: Path) -> None:
    """This project declares 0.2 s a step for this machine, and runs on it."""
    write_project(own_folder)
    content = document("cloud", "offers", "--gpus", ANYWHERE, "--on-demand")
    paces = {offer["accelerator"]: offer["seconds_per_step"] for offer in content["offers"]}
    assert every("of the peak of" in pace["source"] for pace in paces.values())


def two_gpus() -> RunRecord:
    return record(infra="aws", alternatives=(QUICK,))


def test_run_json_keeps_what_else_it_may_get() -> None:
    store = MemoryStore()
    create_run(store, two_gpus())
    read = read_run(store, "kalevala-1")
    assert [each.gpus for each in read.rentals] == ["A100-80GB:1", "H100:1"]
    assert Rates.of_record(read).of("H100:1") == Decimal("2.40")


def test_the_bill_is_that_of_the_gpu_which_it_got() -> None:
    half_past = START + 30 * MINUTE
    slow, quick, unknown = (
        view_run(
            two_gpus(),
            status(),
            None,
            InstanceView("x", is_live=True, created_at=START, gpus=gpus),
            half_past,
        )
        for gpus in ("A100-80GB:1", "H100:1", None)
    )
    assert (slow.cost_so_far_usd, slow.gpus) == (Decimal("0.60"), "A100-80GB:1")
    assert (quick.cost_so_far_usd, quick.hourly_rate_usd) == (Decimal("1.20"), Decimal("2.40"))
    assert unknown.cost_so_far_usd == Decimal("1.20"), "at most"
    assert unknown.gpus == "A100-80GB:1 or H100:1"


def test_of_instances_with_different_gpus_each_costs_its_own() -> None:
    spans = (
        Span(began=START, ended=START + 10 * MINUTE, gpus="H100:1"),
        Span(began=START + 20 * MINUTE, ended=None, gpus="A100-80GB:1"),
    )
    live = InstanceView(
        "job",
        is_live=True,
        created_at=START + 20 * MINUTE,
        spans=spans,
        gpus="A100-80GB:1",
        earlier_usd=Decimal(3),
        earlier_seconds=60.0,
    )
    view = view_run(two_gpus(), status(), None, live, START + 50 * MINUTE)
    assert view.cost_so_far_usd == Decimal("3") + Decimal("0.40") + Decimal("0.60")
    assert view.billed_seconds == 60 + 40 * 60


def test_what_this_machine_asked_for_last_is_what_it_pays() -> None:
    """A run that goes on elsewhere has another price than run.json froze."""
    rates = Rates({"H200:1": Decimal(3)})
    live = InstanceView("x", is_live=True, created_at=START, gpus="H200:1", rates=rates)
    view = view_run(record(infra="aws"), status(), None, live, START + 30 * MINUTE)
    assert view.cost_so_far_usd == Decimal("1.5")


def test_the_report_compares_with_the_estimate_of_what_it_got() -> None:
    gone = InstanceView(
        "x", is_live=False, created_at=START, ended_at=START + timedelta(hours=1), gpus="H100:1"
    )
    run = two_gpus()
    report = build_report(
        view_run(run, status(), result(), gone, NOON), result(), [], kept_of(run, []), NOON
    )
    assert report.estimated_cost_usd == Decimal("0.4")
    assert (report.hourly_rate_usd, report.price_source) == (Decimal("2.40"), "another list")
    first = replace(gone, gpus="A100-80GB:1")
    view = view_run(run, status(), result(), first, NOON)
    assert build_report(view, result(), [], kept_of(run, []), NOON).estimated_cost_usd == Decimal(
        "0.5"
    )


def test_the_deadline_on_a_spot_market_comes_from_the_on_demand_price(rented: Path) -> None:
    """AWS lists H100:8 at $12.97 on spot and at $55.04 on demand."""
    words = ["cloud", "launch", "--dry-run", "--gpus", "H100:8", "--spot", "--budget", "100"]
    shown = fintts(*words, "--infra", "aws/us-west-2")
    assert shown.exit_code == 0, shown.stderr
    assert "on spot at the market's price of the hour" in shown.output
    assert "may rise to $55.04 an hour: the deadline is computed from that" in shown.output
    settings = {"gpus": "H100:8", "spot": True, "infra": "aws/us-west-2", "budget_usd": "100"}
    plan = prepare(open_workplace(), read_settings({**settings, "name": "mine"}), NOON).plan
    assert plan.run_seconds + plan.reserve.total_seconds <= Decimal(100) * 3600 / Decimal("55.04")
    on_demand = [word for word in words if word != "--spot"]
    assert "market's price" not in fintts(*on_demand, "--infra", "aws/us-west-2").output
