"""The GPU that turned up, in the name under which it was asked for."""

from __future__ import annotations

import pytest

from fintts_cost.gpus.names import as_asked


@pytest.mark.parametrize(
    ("device", "memory_gib", "asked", "name"),
    [
        ("NVIDIA A100-SXM4-80GB", 79.2, ["A100-80GB"], "A100-80GB"),
        ("NVIDIA A100-SXM4-80GB", 79.2, ["A100-80GB", "A100-80GB-SXM"], "A100-80GB-SXM"),
        ("NVIDIA A100 80GB PCIe", 79.2, ["L40S", "A100-80GB"], "A100-80GB"),
        ("NVIDIA A100-SXM4-40GB", 39.4, ["A100-80GB", "A100"], "A100"),
        ("NVIDIA H100 80GB HBM3", 79.1, ["H100"], "H100"),
        ("NVIDIA H100 NVL", 93.6, ["H100", "H100-NVL"], "H100-NVL"),
        ("NVIDIA H100 PCIe", 79.2, ["H100"], "H100"),
        ("NVIDIA H200", 139.8, ["H200"], "H200"),
        ("NVIDIA GH200 480GB", 94.5, ["GH200"], "GH200"),
        ("NVIDIA B200", 178.4, ["B200"], "B200"),
        ("NVIDIA L4", 22.0, ["L4"], "L4"),
        ("NVIDIA A10G", 22.1, ["A10G"], "A10G"),
        ("NVIDIA RTX A6000", 47.5, ["RTXA6000"], "RTXA6000"),
        ("NVIDIA RTX A6000", 47.5, ["A6000"], "A6000"),
        ("NVIDIA RTX 6000 Ada Generation", 47.5, ["RTX6000-Ada"], "RTX6000-Ada"),
        ("NVIDIA GeForce RTX 4090", 23.6, ["RTX4090"], "RTX4090"),
        ("NVIDIA L40S", 44.4, ["A100-80GB"], "L40S"),
    ],
)
def test_a_device_has_the_name_that_was_asked_for(
    device: str, memory_gib: float, asked: list[str], name: str
) -> None:
    assert as_asked(device, memory_gib, asked) == name
