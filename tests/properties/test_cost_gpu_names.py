"""However a seller writes a GPU's name, it becomes the same one; and never another GPU's."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fintts_cost.gpus.accelerators import ACCELERATORS
from fintts_cost.gpus.names import MEMORY_TOLERANCE, canonical, family

NAMES = st.sampled_from(sorted(ACCELERATORS))
MAKERS = st.sampled_from(["", "NVIDIA ", "nvidia-", "Tesla ", "NVIDIA GeForce "])
SEPARATORS = st.sampled_from(["-", "_", " ", "  "])
FORMS = st.sampled_from(["", "PCIe", "SXM", "SXM4", "SXM5", "NVL"])
MEMORIES = st.integers(min_value=1, max_value=400)


@pytest.mark.parametrize(
    ("written", "name"),
    [
        ("A100-80GB", "A100-80GB"),
        ("A100-80G-PCIe", "A100-80GB"),
        ("NVIDIA A100 80GB PCIe", "A100-80GB"),
        ("A100-SXM4-80GB", "A100-80GB-SXM"),
        ("A100", "A100"),
        ("A100-40GB", "A100"),
        ("A100-PCIE-40GB", "A100"),
        ("H100-SXM5", "H100-SXM"),
        ("H100 80GB HBM3", "H100HBM3-80GB"),  # with a word that nobody knows it is another one
        ("H100-NVL", "H100-NVL"),
        ("H100-MEGA", "H100-MEGA"),
        ("H100-80G-PCIe", "H100"),
        ("RTX 4090", "RTX4090"),
        ("GeForce RTX-4090", "RTX4090"),
        ("rtx6000-ada", "RTX6000-Ada"),
        ("V100", "V100"),
        ("tpu-v5e", "TPUV5E"),
    ],
)
def test_names_as_sellers_write_them(written: str, name: str) -> None:
    assert canonical(written) == name


@given(NAMES, MAKERS, SEPARATORS, st.sampled_from([str.upper, str.lower, str.title]))
def test_maker_case_and_separator_make_no_difference(
    name: str, maker: str, separator: str, case: object
) -> None:
    assert callable(case)
    assert canonical(maker + str(case(name)).replace("-", separator)) == name


@given(st.text(max_size=30), st.one_of(st.none(), st.floats(allow_nan=True)))
def test_naming_twice_changes_nothing_and_nothing_breaks_it(
    written: str, memory_gb: float | None
) -> None:
    once = canonical(written)
    assert canonical(once) == once
    canonical(written, memory_gb)


@given(MAKERS, SEPARATORS, FORMS, st.booleans())
def test_a_40_gb_a100_is_never_an_a100_80gb(
    maker: str, separator: str, form: str, is_in_name: bool
) -> None:
    parts = ["A100", *([form] if form else []), *(["40GB"] if is_in_name else [])]
    name = maker + separator.join(parts)
    assert not canonical(name, 40.0).startswith("A100-80GB")
    assert canonical(name, 39.4) != "A100-80GB"
    assert not canonical(name).startswith("A100-80GB")


@given(NAMES, FORMS, MEMORIES)
def test_a_known_gpu_has_the_memory_that_was_stated(name: str, form: str, memory_gb: int) -> None:
    found = canonical(f"{family(name)}-{form}-{memory_gb}GB")
    overruled = canonical(name, float(memory_gb))
    for known in {found, overruled} & ACCELERATORS.keys():
        sold = ACCELERATORS[known].memory_gb
        assert abs(memory_gb - sold) <= MEMORY_TOLERANCE * sold


@given(NAMES, st.floats(min_value=-0.05, max_value=0.05))
def test_the_memory_that_is_left_of_a_gpus_own_confirms_its_name(name: str, off: float) -> None:
    assert canonical(name, ACCELERATORS[name].memory_gb * (1 + off)) == name


@given(st.sampled_from(["H100", "H200"]), st.sampled_from(["SXM", "SXM5"]))
def test_another_form_is_another_gpu(model: str, form: str) -> None:
    assert canonical(f"{model}-{form}") == f"{model}-SXM"
    assert canonical(model) == model
