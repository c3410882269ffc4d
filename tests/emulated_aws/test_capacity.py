"""Whoever watches gets what is to be had, pays for that, and has it torn down at once."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

import pytest

from a_laptop import EITHER_GPU, Laptop, billed
from rig.catalog import A100_TYPE, H100_TYPE
from rig.cloud import EmulatedAws
from rig.timeline import Timeline

pytestmark = [pytest.mark.cloud, pytest.mark.timeout(900)]

LAUNCH = ("cloud", "launch", "--name", "capacity", "--yes")


@pytest.fixture
def laptop(emulated_aws: EmulatedAws, tmp_path: Path) -> Laptop:
    """It asks for an A100 or an H100, whichever is to be had."""
    laptop = Laptop(emulated_aws, tmp_path / "project", "capacity")
    laptop.configure(**EITHER_GPU)
    return laptop


def test_what_is_not_to_be_had_is_one_sentence(emulated_aws: EmulatedAws, laptop: Laptop) -> None:
    known = emulated_aws.instances()

    def assert_refused(why: str, mend: str) -> None:
        refused = laptop.fintts(*LAUNCH)
        assert refused.returncode == 4, refused.stderr
        assert f"error: no instance is available: {why}\n" in refused.stderr, refused.stderr
        assert f"hint: {mend}" in refused.stderr, refused.stderr
        assert "Traceback" not in refused.stderr
        assert emulated_aws.instances() == known
        assert laptop.document("cloud", "ps") == []

    with emulated_aws.sold_out("us-east-1"):
        with emulated_aws.sold_out("us-west-2"):
            assert_refused("no capacity in aws/us-east-1, aws/us-west-2", "try again later")
        with emulated_aws.without_quota("us-west-2"):
            why = "no quota for this account in aws/us-west-2; no capacity in aws/us-east-1"
            assert_refused(why, "ask the cloud for quota")


@pytest.mark.by_hand  # tests/cli/infra/sky/test_spot_patience.py has the same without a cloud
def test_a_spot_launch_waits_for_capacity_no_longer_than_it_may(
    emulated_aws: EmulatedAws, laptop: Laptop, timeline: Timeline
) -> None:
    spot = {"FINTTS_SPOT": "true", "FINTTS_LAUNCH_PATIENCE_SECONDS": "60"}
    with emulated_aws.sold_out("us-east-1"), emulated_aws.sold_out("us-west-2"):
        timeline.mark("launch")
        refused = laptop.fintts(*LAUNCH, **spot)
        timeline.mark("given up")
    where = "no capacity in aws/us-east-1, aws/us-west-2"
    assert refused.returncode == 4, refused.stderr
    assert "error: no instance became ready within 1 minute" in refused.stderr, refused.stderr
    assert where in refused.stderr
    assert "Traceback" not in refused.stderr
    assert billed(emulated_aws) == []
    assert laptop.document("cloud", "ps") == [], "nothing was rented, so there is no run"
    assert laptop.document("cloud", "reap", "--yes")["instances"] == []


@pytest.mark.by_hand  # a spot run takes another GPU in test_spot.py
def test_another_region_or_another_gpu_is_taken_where_one_is_sold_out(
    emulated_aws: EmulatedAws, laptop: Laptop, timeline: Timeline
) -> None:
    with ExitStack() as stack:
        stack.enter_context(emulated_aws.sold_out("us-east-1"))
        stack.enter_context(emulated_aws.sold_out("us-west-2", A100_TYPE))
        timeline.mark("launch")
        done = laptop.fintts(*LAUNCH)
    timeline.mark("over")
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    assert "run capacity stopped early at step" in done.stderr
    assert "A100-80GB:1: $3.43 an hour" in done.stderr
    assert "H100:1: $6.88 an hour" in done.stderr
    assert billed(emulated_aws) == []
    [instance] = laptop.instances("capacity")
    assert (instance.region, instance.instance_type) == ("us-west-2", H100_TYPE)
    view = laptop.view("capacity")
    assert (view["gpus"], view["stop_reason"]) == ("H100:1", "early_stopping"), view
    report = laptop.document("cloud", "report", "capacity")
    assert report["hourly_rate_usd"] == 6.88
    cost = report["billed_seconds"] * 6.88 / 3600
    assert report["cost_usd"] == pytest.approx(cost, abs=0.01)
    again = laptop.fintts(*LAUNCH)
    assert again.returncode == 2
    assert "has already ended" in again.stderr
