"""The table of clouds in docs/renting.md says what the code does."""

from __future__ import annotations

from pathlib import Path

import pytest

from fintts_cli.infra.sky.ending.ending import ENDINGS, ending_of
from fintts_cli.infra.sky.server.keys import KEY_FILES
from fintts_cli.prices.snapshot import read_snapshot
from fintts_cost.prices.clouds import cloud_named
from fintts_cost.prices.offer import NEVER_CHOSEN, Doubt, Offer
from fintts_cost.prices.offers import offers_of

DOCUMENT = Path(__file__).parents[2] / "docs" / "renting.md"
HEADER = ("cloud", "one A100-80GB an hour", "spot", "ends by itself by", "key on it", "tried")
TO_THE_END = "to the end, on an emulated seller"
TRIED = {
    "aws": "to the end, on an emulated AWS",
    "lambda": TO_THE_END,
    "runpod": TO_THE_END,
    "verda": TO_THE_END,
}
"""how tests/emulated_aws and tests/emulated_clouds tried it"""
START, END = "<!-- clouds: checked by tests/docs/test_renting_table.py -->\n", "<!-- end -->\n"


def singles(cloud: str) -> list[Offer]:
    """What can be rented of one GPU, on demand, the cheapest first."""
    return [
        offer
        for offer in offers_of(read_snapshot())
        if (offer.cloud, offer.gpus, offer.spot) == (cloud, 1, False) and offer.may_be_chosen
    ]


def price(cloud: str) -> str:
    found = singles(cloud)
    wanted = [offer for offer in found if offer.accelerator == "A100-80GB"]
    if wanted:
        return f"${wanted[0].hourly_rate_usd:.2f}"
    if not found:
        return "not in the price list"
    return f"none; {found[0].accelerator} ${found[0].hourly_rate_usd:.2f}"


def spot(cloud: str) -> str:
    """SkyPilot's own limits, then whether the list has a discount."""
    if not cloud_named(cloud).has_spot or not ending_of(cloud).has_managed_jobs:
        return "no"
    listed = [one for one in offers_of(read_snapshot()) if one.cloud == cloud and one.spot]
    usable = [one for one in listed if not NEVER_CHOSEN.intersection(one.doubts)]
    if listed and not usable and any(Doubt.NO_DISCOUNT in one.doubts for one in listed):
        return "no discount"
    return "yes" if usable else "no price known"


def key(cloud: str) -> str:
    if not ending_of(cloud).needs_account_key:
        return "none"
    return " or ".join(f"`~/{path}`" for path in KEY_FILES[cloud])


def row(cloud: str) -> tuple[str, ...]:
    tried = TRIED.get(cloud, "no")
    return cloud, price(cloud), spot(cloud), ending_of(cloud).by, key(cloud), tried


def expected() -> str:
    clouds = {line.cloud for line in read_snapshot() if line.cloud in KEY_FILES} | set(ENDINGS)
    rows = [HEADER, tuple("---" for _ in HEADER), *(row(cloud) for cloud in sorted(clouds))]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in rows)


def test_the_table_of_clouds_says_what_the_code_does(request: pytest.FixtureRequest) -> None:
    text = DOCUMENT.read_text(encoding="utf-8")
    before, _, rest = text.partition(START)
    table, _, after = rest.partition(END)
    if request.config.getoption("--update-golden"):
        DOCUMENT.write_text(before + START + expected() + END + after, encoding="utf-8")
        return
    assert table == expected()


def test_the_table_has_each_cloud_that_was_tried_or_ends_in_its_own_way() -> None:
    table = DOCUMENT.read_text(encoding="utf-8").partition(START)[2].partition(END)[0]
    shown = {line.split(" | ")[0].removeprefix("| ") for line in table.splitlines()}
    assert TRIED.keys() | ENDINGS.keys() <= shown
