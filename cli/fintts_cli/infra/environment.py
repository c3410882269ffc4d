"""Decides which environment variables of this machine reach a task.

A rented machine gets nothing by default: it has its own libraries, GPUs and network. A task names
what it needs (`FINTTS_…` in its envs); the store's key is passed as a secret made for the run. A
proxy stays here: `fintts_store.network.reach` refuses a store that only the proxy reaches, and the
S3 store's `certificates.py` refuses one that only a file of this machine makes trusted.

A run on this machine gets what makes the machine the same for the run as for you, but nothing that
would replace the bundle's code: no PYTHONPATH, and none of the settings, which the task holds.
"""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from fintts_store.opening import store_environment

if TYPE_CHECKING:
    from collections.abc import Mapping

TO_A_RUN_HERE = {
    "who you are, and where your files lie": "PATH HOME USER LOGNAME TMPDIR XDG_CACHE_HOME",
    "how your texts are encoded": "LANG LC_*",
    "the GPUs that are yours; without it the run takes a neighbour's": (
        "CUDA_VISIBLE_DEVICES CUDA_DEVICE_ORDER CUDA_MPS_* NVIDIA_* HIP_VISIBLE_DEVICES "
        "ROCR_VISIBLE_DEVICES"
    ),
    "the libraries of this machine's drivers": "LD_LIBRARY_PATH CUDA_HOME CUDA_PATH ROCM_PATH",
    "how many cores and how much memory are yours": (
        "OMP_* KMP_* MKL_* OPENBLAS_NUM_THREADS NUMEXPR_NUM_THREADS PYTORCH_* NCCL_* GLOO_*"
    ),
    "the compiler of training.compile, and where it keeps what it has compiled": (
        "CC CXX TRITON_* TORCHINDUCTOR_* TORCH_EXTENSIONS_DIR CUDA_CACHE_*"
    ),
    "how many processes train": "FINTTS_PROCESSES",
    "the way out of this network": (
        "HTTP_PROXY HTTPS_PROXY ALL_PROXY NO_PROXY http_proxy https_proxy all_proxy no_proxy"
    ),
    "whom you trust": "SSL_CERT_FILE SSL_CERT_DIR REQUESTS_CA_BUNDLE CURL_CA_BUNDLE",
    "where the set-up takes packages from": "PIP_* UV_*",
}
"""reason → patterns of names; each kind of store adds its key and server (`store_environment`)"""


def for_a_run_here(environment: Mapping[str, str]) -> dict[str, str]:
    """The part of this machine's environment that a local run gets."""
    named = [pattern for names in TO_A_RUN_HERE.values() for pattern in names.split()]
    patterns = [*named, *store_environment()]
    return {
        name: value
        for name, value in environment.items()
        if any(fnmatchcase(name, pattern) for pattern in patterns)
    }
