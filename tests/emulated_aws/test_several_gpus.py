"""Of several GPUs the run gets what is to be had, and the bill is that of what it got."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

import pytest

from a_laptop import Laptop, billed
from rig.catalog import ZONES
from rig.cloud import EmulatedAws
from rig.timeline import Timeline

pytestmark = [pytest.mark.cloud, pytest.mark.timeout(600)]

A100_TYPE, H100_TYPE = "p4de.3xlarge", "p5.4xlarge"


@pytest.mark.parametrize(
    ("how", "a100_usd", "h100_usd"), [("on-demand", 3.43, 6.88), ("spot", 1.40, 3.10)]
)
def test_where_no_a100_is_left_an_h100_is_rented_and_billed_as_one(
    emulated_aws: EmulatedAws,
    tmp_path: Path,
    timeline: Timeline,
    how: str,
    a100_usd: float,
    h100_usd: float,
) -> None:
    run = f"several-{how}"
    laptop = Laptop(emulated_aws, tmp_path / "project", run)
    laptop.find_clouds()
    file = laptop.folder / "fintts.yaml"
    text = file.read_text().replace("seconds_per_step: 0.2, ", "")
    file.write_text(text.replace("gpus: H100:1", "gpus: [A100-80GB, H100]"))
    known = emulated_aws.instances()
    with ExitStack() as stack:
        for region in ZONES:
            stack.enter_context(emulated_aws.sold_out(region, A100_TYPE))
        timeline.mark("launch")
        done = laptop.fintts("cloud", "launch", "--name", run, "--yes", f"--{how}")
    timeline.mark("over")
    assert done.returncode == 0, done.stderr
    assert f"A100-80GB:1: ${a100_usd:.2f} an hour" in done.stderr
    assert f"H100:1: ${h100_usd:.2f} an hour" in done.stderr
    [instance] = [one for one in emulated_aws.instances() if one not in known]
    assert instance.instance_type == H100_TYPE
    assert billed(emulated_aws) == []
    [view] = laptop.document("cloud", "ps")
    assert (view["gpus"], view["stop_reason"]) == ("H100:1", "early_stopping"), view
    report = laptop.document("cloud", "report", run)
    assert report["hourly_rate_usd"] == h100_usd
    cost = report["billed_seconds"] * h100_usd / 3600
    assert report["cost_usd"] == pytest.approx(cost, abs=0.01)
