"""torch's allocator on a GPU gets expandable segments, unless you set it yourself."""

from __future__ import annotations

import subprocess
import sys

import pytest

SHOWN = """
from fintts_trainer.__main__ import _prepare_libraries
_prepare_libraries()
import torch
print(torch._C._accelerator_getAllocatorSettings())
"""


@pytest.mark.parametrize(
    ("yours", "expected"),
    [
        ({}, "expandable_segments:True"),
        ({"PYTORCH_ALLOC_CONF": "max_split_size_mb:64"}, "max_split_size_mb:64"),
        ({"PYTORCH_CUDA_ALLOC_CONF": "max_split_size_mb:32"}, "max_split_size_mb:32"),
    ],
)
def test_torch_reads_the_setting(
    monkeypatch: pytest.MonkeyPatch, yours: dict[str, str], expected: str
) -> None:
    for name in ("PYTORCH_ALLOC_CONF", "PYTORCH_CUDA_ALLOC_CONF"):
        monkeypatch.delenv(name, raising=False)
    for name, value in yours.items():
        monkeypatch.setenv(name, value)
    command = [sys.executable, "-W", "ignore", "-c", SHOWN]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == expected
