"""A source of prices is one file and one line: a module that fintts does not know joins here."""

from __future__ import annotations

import importlib
import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import Result

from cli_project import write_project
from command_line import invoke
from fintts_cli.commands import opening

BAZAAR = '''
"""Prices that are called out in a bazaar, for --infra bazaar alone."""

from decimal import Decimal

from fintts_cli.prices.source import CatalogMissing, PriceList
from fintts_cost.prices.offers import PriceRow


class Bazaar:
    def prices(self, accelerator, cloud):
        if cloud != "bazaar":
            raise CatalogMissing("the bazaar only sells its own")
        return PriceList((ROW,), "prices as called out")


ROW = PriceRow(
    cloud="bazaar",
    region="square",
    zone=None,
    instance_type="stall-8",
    accelerator="H100",
    gpus=1.0,
    gpu_memory_gb=80.0,
    price_usd=Decimal("1.75"),
    spot_price_usd=None,
    source="a crier",
    as_of="2026-11-01",
)
'''


@pytest.fixture(autouse=True)
def bazaar(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The file and the line."""
    (tmp_path / "packages").mkdir()
    (tmp_path / "packages" / "bazaar.py").write_text(BAZAAR)
    monkeypatch.syspath_prepend(str(tmp_path / "packages"))
    module = importlib.import_module("bazaar")
    # Patched, since the line itself is under test: a user adds it to the file.
    monkeypatch.setattr(opening, "SOURCES", (module.Bazaar, *opening.SOURCES))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("FINTTS_STATE_DIR", str(tmp_path / "state"))
    monkeypatch.setenv("SKY_RUNTIME_DIR", str(tmp_path / "sky"))
    folder = write_project(tmp_path / "project")
    settings = (folder / "fintts.yaml").read_text()
    (folder / "fintts.yaml").write_text(settings.replace("hourly_rate_usd: 1.20\n", ""))
    monkeypatch.chdir(folder)
    yield
    del sys.modules["bazaar"]


def fintts(*arguments: str) -> Result:
    return invoke(arguments)


def test_its_offers_are_listed() -> None:
    shown = fintts("cloud", "offers", "--infra", "bazaar", "--gpus", "H100:1", "--json")
    assert shown.exit_code == 0, shown.output
    (offer,) = json.loads(shown.stdout)["offers"]
    assert (offer["instance_type"], offer["hourly_rate_usd"]) == ("stall-8", 1.75)


def test_a_run_is_billed_by_them() -> None:
    where = ("--infra", "bazaar", "--gpus", "H100:1", "--store", "store")
    shown = fintts("cloud", "launch", "--dry-run", *where)
    assert shown.exit_code == 0, shown.output
    assert "$1.75 an hour (bazaar stall-8 on-demand, a crier" in shown.output


def test_what_it_does_not_sell_comes_from_the_others() -> None:
    shown = fintts("cloud", "offers", "--infra", "nebius", "--gpus", "H100:1", "--json")
    assert shown.exit_code == 0, shown.output
    document = json.loads(shown.stdout)
    assert document["offers"]
    assert {offer["cloud"] for offer in document["offers"]} == {"nebius"}
