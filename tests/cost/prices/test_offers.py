"""The traps of price lists, each by its name, and which offer is taken."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from checks import every
from fintts_cost.money import Price
from fintts_cost.prices.age import old_list
from fintts_cost.prices.clouds import CLOUDS
from fintts_cost.prices.offer import NEVER_CHOSEN, Doubt, Offer, PriceRow, amount
from fintts_cost.prices.offers import cheapest, offers_of, spot_ceiling


def row(price: object = "2.00", spot: object = "", **changes: Any) -> PriceRow:
    """A machine with one A100-80GB for $2.00 an hour."""
    given: dict[str, Any] = {
        "cloud": "runpod",
        "instance_type": "1x",
        "accelerator": "A100-80GB",
        "gpus": 1,
        "price_usd": amount(price),  # type: ignore[arg-type]  # whatever a list may hold
        "spot_price_usd": amount(spot),  # type: ignore[arg-type]
        "source": "a list",
        "as_of": "2026-11-24",
        "region": "north",
    }
    return PriceRow(**(given | changes))


def on_demand(offers: list[Offer]) -> list[Offer]:
    return [offer for offer in offers if not offer.spot]


def spot(offers: list[Offer]) -> list[Offer]:
    return [offer for offer in offers if offer.spot]


@pytest.mark.parametrize(
    ("listed", "price"),
    [
        ("1.39", Decimal("1.39")),
        (" 1.39 ", Decimal("1.39")),
        (6.88, Decimal("6.88")),
        (Decimal("0.4515"), Decimal("0.4515")),
        ("0.00", None),
        (0.0, None),
        ("", None),
        (None, None),
        ("nan", None),
        (float("nan"), None),
        ("inf", None),
        ("-1", None),
        ("on request", None),
        ("$1.39", None),
    ],
)
def test_what_is_no_price_above_zero_is_none(
    listed: str | float | Decimal | None, price: Decimal | None
) -> None:
    assert amount(listed) == price


@pytest.mark.parametrize("listed", ["0.00", "", "nan", float("nan"), None])
def test_trap_a_spot_price_of_nothing_is_no_spot_offer(listed: object) -> None:
    (offer,) = offers_of([row("2.00", listed)])
    assert not offer.spot


def test_a_real_spot_price_is_an_offer_of_its_own() -> None:
    cheap, dear = offers_of([row("2.00", "0.80")])
    assert (cheap.spot, cheap.hourly_rate_usd) == (True, Decimal("0.80"))
    assert (dear.spot, dear.hourly_rate_usd) == (False, Decimal("2.00"))
    assert cheap.doubts == dear.doubts == ()


@pytest.mark.parametrize("listed", ["2.00", "2.01"])
def test_trap_spot_as_dear_as_on_demand_is_marked_and_never_chosen(listed: str) -> None:
    offers = offers_of([row("2.00", listed)])
    (marked,) = spot(offers)
    assert marked.doubts == (Doubt.NO_DISCOUNT,)
    assert cheapest([marked]) is None
    assert cheapest(offers) in on_demand(offers)


def test_trap_a_spot_price_without_one_on_demand_is_not_believed() -> None:
    (marked,) = offers_of([row("", "0.50")])
    assert marked.doubts == (Doubt.NO_DISCOUNT,)


def test_trap_host_and_gpu_in_two_rows_are_one_machine() -> None:
    host = row("1.09962", "0.31193", accelerator="", gpus=0)
    gpus = row("4.4242", "1.3356")
    for rows in ([host, gpus], [gpus, host]):
        cheap, dear = offers_of(rows)
        assert (cheap.spot, cheap.hourly_rate_usd) == (True, Decimal("1.64753"))
        assert (dear.spot, dear.hourly_rate_usd) == (False, Decimal("5.52382"))


def test_trap_a_host_is_that_of_its_own_region_and_machine() -> None:
    host = row("1.00", accelerator="", gpus=0)
    rows = [host, row("2.00", region="south"), row("2.00", instance_type="2x"), row("2.00")]
    rates = sorted(offer.hourly_rate_usd for offer in offers_of(rows))
    assert rates == [Decimal("2.00"), Decimal("2.00"), Decimal("3.00")]


def test_trap_a_host_without_a_price_leaves_no_offer_rather_than_half_of_one() -> None:
    host = row("1.00", "", accelerator="", gpus=0)
    (offer,) = offers_of([host, row("4.00", "1.00")])
    assert not offer.spot
    assert offers_of([host._replace(price_usd=None), row("4.00", "1.00")]) == []


def test_trap_a_gpu_below_its_own_spot_price_makes_the_on_demand_price_suspect() -> None:
    """GCP's us-central1: together with the host nothing would be seen of it."""
    host = row("1.09962", "0.54978", accelerator="", gpus=0)
    offers = offers_of([host, row("1.8462", "1.964")])
    (dear,) = on_demand(offers)
    assert dear.doubts == (Doubt.BELOW_OWN_SPOT,)
    (cheap,) = spot(offers)
    assert cheap.doubts == ()


def others(**changes: Any) -> list[PriceRow]:
    """Five sellers of the same GPU, from $1.80 to $2.20."""
    prices = ("1.80", "1.90", "2.00", "2.10", "2.20")
    return [row(price, cloud=f"seller-{price}", **changes) for price in prices]


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"price": "2.00", "gpus": 8}, "the price of one GPU in the row of eight"),
        ({"price": "200"}, "cents for dollars"),
        ({"price": "1440"}, "a month for an hour"),
        ({"price": "0.45"}, "less than a quarter of what the others ask"),
    ],
)
def test_trap_a_price_in_another_unit_is_marked_as_an_outlier(
    changes: dict[str, Any], why: str
) -> None:
    offers = offers_of([*others(), row(**changes)])
    marked = [offer.cloud for offer in offers if Doubt.OUTLIER in offer.doubts]
    assert marked == ["runpod"], why
    best = cheapest(offers)
    assert best is not None
    assert best.cloud == "seller-1.80"


def test_eight_gpus_at_eight_times_the_price_are_no_outlier() -> None:
    offers = offers_of([*others(), row("16.00", gpus=8)])
    assert not any(offer.doubts for offer in offers)


def test_trap_one_region_at_half_the_price_of_the_others_is_marked() -> None:
    """GCP's a3-highgpu-1g: $5.38 in one region, 9.80 and more for the GPU alone in the others."""
    prices = ("5.38", "10.98", "11.42", "12.09", "12.37")
    offers = offers_of([row(price, region=price, accelerator="H100") for price in prices])
    assert [offer.region for offer in offers if offer.doubts] == ["5.38"]


def test_four_offers_are_too_few_to_call_one_of_them_an_outlier() -> None:
    assert not any(offer.doubts for offer in offers_of([*others()[:3], row("0.10")]))


@pytest.mark.parametrize(
    ("price", "is_outlier"),
    [("0.02", True), ("0.30", True), ("1.50", False), ("9.00", False), ("28.00", True)],
)
def test_a_gpu_that_few_sell_is_compared_with_what_the_others_cost(
    price: str, is_outlier: bool
) -> None:
    """An H200 of 141 GB beside three GPUs at $0.0167 to 0.025 a GB and hour: some $2.82."""
    known = [
        row("2.00", accelerator="A100-80GB"),
        row("0.40", accelerator="L4"),
        row("1.20", accelerator="L40S"),
    ]
    offers = offers_of([*known, row(price, accelerator="H200", cloud="odd")])
    marked = [offer.cloud for offer in offers if Doubt.OUTLIER in offer.doubts]
    assert marked == (["odd"] if is_outlier else [])


@pytest.mark.parametrize(
    ("as_of", "is_old"),
    [("2026-11-24", False), ("2026-10-30", False), ("2026-10-29", True), ("2024-01-01", True),
     (None, False), ("some day", False), ("2027-01-01", False)],
)  # fmt: skip
def test_a_list_that_is_over_30_days_old_is_said(as_of: str | None, is_old: bool) -> None:
    sentence = old_list(as_of, date(2026, 11, 29))
    assert (sentence is not None) == is_old
    assert sentence is None or str(as_of) in sentence


def test_trap_a_spot_price_without_discount_does_not_move_the_median() -> None:
    """Those who list no discount would make a real spot price look like an outlier."""
    real = [row("9.00", "2.00", cloud=f"real-{number}") for number in range(5)]
    listed = [row("90.00", "90.00", cloud=f"none-{number}") for number in range(9)]
    marked = [offer for offer in spot(offers_of([*real, *listed])) if offer.cloud[:4] == "real"]
    assert every(offer.doubts == () for offer in marked)


def test_trap_a_machine_of_eight_is_an_offer_for_eight() -> None:
    (offer,) = offers_of([row("40.96", instance_type="p4de.24xlarge", gpus=8)])
    assert offer.gpus == 8
    assert offer.rate_per_gpu_usd == Decimal("5.12")


@pytest.mark.parametrize("gpus", [0.5, 0, 1.5])
def test_trap_a_slice_of_a_gpu_is_no_offer(gpus: float) -> None:
    assert offers_of([row(gpus=gpus)]) == []


@pytest.mark.parametrize("cloud", [name for name, each in CLOUDS.items() if not each.has_spot])
def test_trap_a_cloud_without_spot_instances_has_no_spot_offer(cloud: str) -> None:
    assert spot(offers_of([row("2.00", "0.50", cloud=cloud)])) == []


@pytest.mark.parametrize(
    "cloud", [name for name, each in CLOUDS.items() if each.has_spot and not each.has_autodown]
)
def test_trap_spot_where_no_managed_job_runs_is_never_chosen(cloud: str) -> None:
    """Verda's $0.45 was once the cheapest without a remark, and a launch refused it."""
    cheap, dear = offers_of([row("1.29", "0.4515", cloud=cloud)])
    assert cheap.spot
    assert cheap.doubts == (Doubt.NO_SPOT_JOBS,)
    assert cheapest([cheap]) is None
    assert dear.doubts == (Doubt.NO_AUTODOWN,)
    assert cheapest([cheap, dear]) is dear


def test_trap_a_machine_with_an_arm_processor_is_listed_and_never_chosen() -> None:
    (offer,) = offers_of([row("2.29", accelerator="GH200", cloud="lambda")])
    assert offer.doubts == (Doubt.OTHER_CPU,)
    assert cheapest([offer]) is None


@pytest.mark.parametrize(
    ("listed", "memory_gb", "name", "doubts"),
    [
        ("A100", 80.0, "A100-80GB", (Doubt.OTHER_NAME,)),
        ("A100", 40.0, "A100", ()),
        ("A100", None, "A100", ()),
        ("A100-80G-PCIe", None, "A100-80GB", (Doubt.OTHER_NAME,)),
        ("a100-80gb", None, "A100-80GB", ()),
        ("H100", 94.0, "H100-NVL", (Doubt.OTHER_NAME,)),
        ("H100-SXM", 80.0, "H100-SXM", ()),
    ],
)
def test_trap_a_gpu_under_another_name_is_found_but_not_chosen(
    listed: str, memory_gb: float | None, name: str, doubts: tuple[Doubt, ...]
) -> None:
    """SkyPilot asks by the name in its catalog: a launch would not get that machine."""
    (offer,) = offers_of([row(accelerator=listed, gpu_memory_gb=memory_gb)])
    assert (offer.accelerator, offer.doubts) == (name, doubts)
    assert offer.may_be_chosen is not bool(doubts)


def test_what_a_person_found_out_stays_with_the_row() -> None:
    (offer,) = offers_of([row(doubts=(Doubt.NOT_RENTABLE,))])
    assert offer.doubts == (Doubt.NOT_RENTABLE,)
    assert cheapest([offer]) is None


def test_a_suspect_on_demand_price_says_nothing_about_spot() -> None:
    cheap, dear = offers_of([row("3.00", "2.00", doubts=(Doubt.SUSPECT,))])
    assert (cheap.doubts, dear.doubts) == ((), (Doubt.SUSPECT,))


def test_of_a_regions_zones_the_cheapest_counts() -> None:
    rows = [row("55.04", price, zone=price) for price in ("16.13", "12.97")]
    offers = offers_of(rows)
    assert [offer.hourly_rate_usd for offer in offers] == [Decimal("12.97"), Decimal("55.04")]


def test_the_cheapest_is_the_cheapest_without_a_doubt() -> None:
    doubtful = row("1.00", cloud="old", doubts=(Doubt.OLD,))
    best = cheapest(offers_of([row("3.00", cloud="dear"), row("2.00"), doubtful]))
    assert best is not None
    assert (best.cloud, best.hourly_rate_usd) == ("runpod", Decimal("2.00"))


def test_where_all_are_doubtful_the_cheapest_that_can_be_taken_is() -> None:
    rows = [
        row("1.00", cloud="nowhere", doubts=(Doubt.NOT_RENTABLE,)),
        row("2.00", cloud="old", doubts=(Doubt.OLD,)),
        row("3.00", cloud="verda"),
    ]
    best = cheapest(offers_of(rows))
    assert best is not None
    assert best.cloud == "old"
    assert cheapest([]) is None


@pytest.mark.parametrize("doubt", list(Doubt))
def test_each_doubt_is_weighed(doubt: Doubt) -> None:
    """Alone, an offer is taken with some doubts; beside another it is not with any."""
    (alone,) = offers_of([row("1.00", doubts=(doubt,))])
    (other,) = offers_of([row("2.00")])
    assert (cheapest([alone]) is None) is (doubt in NEVER_CHOSEN)
    assert cheapest([alone, other]) is other


def test_the_price_of_an_offer_names_machine_list_and_day() -> None:
    (offer,) = offers_of([row()])
    assert offer.price == Price(
        Decimal("2.00"), "runpod 1x on-demand, a list", "2026-11-24", "runpod"
    )


def market(**changes: Any) -> list[Offer]:
    return offers_of([row("4.00", "1.50", cloud="aws", **changes)])


def test_a_spot_price_of_the_market_may_rise_to_the_on_demand_price() -> None:
    """SkyPilot's max_hourly_cost only filters the list: AWS bills what the market asks."""
    assert spot_ceiling(market(), Decimal("1.50")) == 4
    dearer = offers_of([row("9.00", "1.40", cloud="aws", region="south", instance_type="1x")])
    assert spot_ceiling([*market(), *dearer], Decimal("1.50")) == 9


@pytest.mark.parametrize("cloud", ["runpod", "gcp", "verda"])
def test_a_spot_price_that_is_fixed_has_no_ceiling(cloud: str) -> None:
    assert spot_ceiling(offers_of([row("4.00", "1.50", cloud=cloud)]), Decimal("1.50")) is None


def test_a_machine_that_the_limit_filters_out_has_no_ceiling() -> None:
    assert spot_ceiling(market(), Decimal("1.49")) is None
