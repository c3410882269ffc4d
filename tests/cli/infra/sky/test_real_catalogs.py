"""Rows of SkyPilot's published catalogs (v8, November 2026): each cloud's units, gaps and names."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from fintts_cost.gpus.accelerators import ACCELERATORS
from skypilot_folder import SkyPilot

ROWS = Path(__file__).with_name("catalogs")
ENABLED = ("AWS", "Lambda", "Nebius", "RunPod", "Shadeform", "Vast", "Verda")
GPUS = (
    "A10",
    "A100-80GB",
    "A10G",
    "A6000",
    "B200",
    "GH200",
    "H100",
    "H200",
    "L4",
    "L40S",
    "RTX4090",
)


@pytest.fixture(scope="module")
def offers(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    sky = SkyPilot(tmp_path_factory.mktemp("skypilot"))
    for path in sorted(ROWS.glob("*.csv")):
        sky.write(path.stem, path.read_text(encoding="utf-8"))
    asked: list[dict[str, object]] = [{"gpu": gpu} for gpu in GPUS]
    answers = sky.ask({"enable": list(ENABLED), "gpu": "RTX6000-Ada"}, *asked)
    assert not [answer for answer in answers if "missing" in answer or "without" in answer["note"]]
    return [offer for answer in answers for offer in answer["offers"]]


def sellers(offers: list[dict[str, Any]], accelerator: str) -> dict[str, set[str]]:
    """Cloud → its on-demand prices of one such GPU that may be chosen."""
    found: dict[str, set[str]] = {}
    for offer in offers:
        kind = (offer["accelerator"], offer["gpus"], offer["spot"])
        if kind == (accelerator, 1, False) and "other-name" not in offer["doubts"]:
            found.setdefault(offer["cloud"], set()).add(offer["hourly_rate_usd"])
    return found


@pytest.mark.parametrize(
    ("accelerator", "expected"),
    [
        ("A100-80GB", {"runpod": {"1.39"}, "verda": {"1.29"}, "shadeform": {"1.35"}}),
        ("A100", {"vast": {"0.76"}, "shadeform": {"1.99"}}),
        ("A10G", {"aws": {"1.006", "2.448"}}),
        ("A10", {"shadeform": {"1.29"}}),
        ("A6000", {"lambda": {"1.09"}, "shadeform": {"0.57"}}),
        ("B200", {"verda": {"4.89"}}),
        ("GH200", {"lambda": {"2.29"}}),
        ("H100", {"lambda": {"3.29"}, "nebius": {"2.95"}}),
        ("H200", {"verda": {"3.39"}, "vast": {"2.65"}, "nebius": {"3.5"}}),
        ("L4", {"shadeform": {"0.95"}}),
        (
            "L40S",
            {
                "runpod": {"0.99"},
                "vast": {"0.6"},
                "nebius": {"1.5484"},
                "shadeform": {"0.88"},
            },
        ),
        ("RTX4090", {"runpod": {"0.74"}, "vast": {"0.4"}}),
    ],
)
def test_each_clouds_rows_are_read_in_its_own_units(
    offers: list[dict[str, Any]], accelerator: str, expected: dict[str, set[str]]
) -> None:
    assert sellers(offers, accelerator) == expected


def test_a_name_with_another_memory_is_another_gpu_and_never_chosen(
    offers: list[dict[str, Any]],
) -> None:
    """Vast has an H100 of 94 GB, an A100 of 80 and a converted RTX 4090 under short names."""
    odd = {
        (offer["cloud"], offer["accelerator"], offer["instance_type"])
        for offer in offers
        if "other-name" in offer["doubts"]
    }
    assert {
        ("vast", "H100-NVL", "1x-H100_NVL-32-65536"),
        ("vast", "A100-80GB", "1x-A100_PCIE-32-65536"),
        ("vast", "RTX4090-48GB", "1x-RTX_4090-32-65536"),
    } <= odd


def test_no_row_makes_a_gpu_of_less_memory_than_any_gpu_has(offers: list[dict[str, Any]]) -> None:
    assert not [offer for offer in offers if "-0GB" in offer["accelerator"]]
    known = {offer["accelerator"] for offer in offers} & set(ACCELERATORS)
    assert known >= set(GPUS)
