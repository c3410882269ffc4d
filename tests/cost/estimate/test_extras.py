"""What a bill has beside the GPU, each with its arithmetic."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest

from checks import every
from fintts_cost.estimate.document import document
from fintts_cost.estimate.extras import DISK, S3_EGRESS, S3_STORAGE, Extras, disk_gb, extras_of
from fintts_cost.estimate.result import Estimate, estimate
from fintts_cost.gpus.memory import MemoryModel
from fintts_cost.reference.run import REFERENCE_RUN

REFERENCE = estimate(REFERENCE_RUN)
"""4.4333 h, 3.5 GB of weights, 235 MB of checkpoints at the end"""


def found(
    changes: dict[str, object] | None = None, made: Estimate = REFERENCE
) -> dict[str, Decimal]:
    usual: dict[str, object] = {"is_rented": True, "cloud": "runpod", "is_in_s3": True}
    extras = extras_of(made, **(usual | (changes or {})))  # type: ignore[arg-type]  # as named above
    return {each.name: each.usd for each in extras.items}


def test_each_of_them_is_its_amount_at_its_price() -> None:
    usd = found()
    assert usd["disk"] == pytest.approx(
        Decimal("0.0486"), abs=Decimal("0.0001")
    )  # 100 × 0.08 / 730
    assert usd["inputs"] == pytest.approx(Decimal("0.315"))  # 3.5 GB × 0.09
    assert usd["storage"] == pytest.approx(Decimal("0.0859"), abs=Decimal("0.0001"))
    assert usd["pull"] == pytest.approx(Decimal("0.02115"))  # 0.235 GB × 0.09
    assert found({"data_bytes": 10**9})["inputs"] == pytest.approx(Decimal("0.405"))


@pytest.mark.parametrize(
    ("changes", "names"),
    [
        ({"cloud": "aws"}, {"disk", "storage", "pull"}),
        ({"cloud": None}, {"disk", "inputs", "storage", "pull"}),
        ({"is_in_s3": False}, {"disk"}),
        ({"is_rented": False}, {"storage", "pull"}),
        ({"is_rented": False, "is_in_s3": False}, set[str]()),
    ],
)
def test_only_what_is_billed_there_is_counted(changes: dict[str, object], names: set[str]) -> None:
    assert set(found(changes)) == names


def test_what_is_not_known_is_left_out() -> None:
    given = replace(REFERENCE_RUN, memory=None, checkpoint_bytes=0)
    assert set(found(made=estimate(given))) == {"disk"}


@pytest.mark.parametrize(("weights_gb", "size_gb"), [(1.7, 100), (14.7, 100), (15, 101), (60, 191)])
def test_the_disk_holds_system_packages_and_twice_what_the_run_writes(
    weights_gb: float, size_gb: int
) -> None:
    model = MemoryModel(round(weights_gb * 10**9), 0, 0, 0, 10**9)
    made = estimate(replace(REFERENCE_RUN, memory=model))
    assert made.storage.bytes_at_peak == 282_000_000
    assert disk_gb(made) == size_gb
    assert disk_gb(made, has_own_image=True) == 256
    assert disk_gb(estimate(replace(REFERENCE_RUN, memory=None))) == 256
    billed = extras_of(made, is_rented=True, cloud="runpod", is_in_s3=False)
    assert billed.items[0].how.startswith(f"{size_gb} GB for ")


def test_the_gpus_bill_stays_what_it_is() -> None:
    extras = extras_of(REFERENCE, is_rented=True, cloud="runpod", is_in_s3=True)
    made = document(REFERENCE) | extras.to_json(REFERENCE)
    assert made["cost_usd"] == 5.32
    assert made["cost_with_extras_usd"] == 5.79
    assert Extras().usd == 0


@pytest.mark.parametrize("fact", [DISK, S3_STORAGE, S3_EGRESS])
def test_each_price_has_its_source_and_its_day(fact: object) -> None:
    assert every(getattr(fact, name) for name in ("usd", "unit", "source", "as_of"))
