"""What of this machine's environment travels to where a task runs. It is decided here.

To a rented machine nothing travels by itself: it has its own libraries, GPUs and network. A task
names what it needs (`FINTTS_…` in its envs); the key for the store goes as a secret, made for the
run. A proxy stays here: it serves the company's network, its address may hold a password, and an
instance reaches what is public without it. `preconditions.py` refuses a store that the proxy alone
reaches, and `certificates.py` one that is trusted by a file of this machine.

To a run on this machine goes what makes it the same machine for the run as for you, and nothing
that would put other code in the place of the bundle's: no PYTHONPATH, and none of the settings,
which the task has.
"""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import TYPE_CHECKING
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

if TYPE_CHECKING:
    from collections.abc import Mapping

TO_A_RUN_HERE = {
    "who you are, and where your files lie": "PATH HOME USER LOGNAME TMPDIR XDG_CACHE_HOME",
    "how your texts are encoded": "LANG LC_*",
    "the GPUs that are yours; without it the run takes a neighbour's": (
        "CUDA_VISIBLE_DEVICES CUDA_DEVICE_ORDER NVIDIA_* HIP_VISIBLE_DEVICES ROCR_VISIBLE_DEVICES"
    ),
    "the libraries of this machine's drivers": "LD_LIBRARY_PATH CUDA_HOME CUDA_PATH ROCM_PATH",
    "how many cores and how much memory are yours": (
        "OMP_* KMP_* MKL_* OPENBLAS_NUM_THREADS NUMEXPR_NUM_THREADS PYTORCH_* NCCL_* GLOO_*"
    ),
    "how many processes train": "FINTTS_PROCESSES",
    "the way out of this network": (
        "HTTP_PROXY HTTPS_PROXY ALL_PROXY NO_PROXY http_proxy https_proxy all_proxy no_proxy"
    ),
    "whom you trust": "SSL_CERT_FILE SSL_CERT_DIR REQUESTS_CA_BUNDLE CURL_CA_BUNDLE",
    "the key for the store, and its server": "AWS_*",
    "where the set-up takes packages from": "PIP_* UV_*",
}
"""why → patterns of names"""


def for_a_run_here(environment: Mapping[str, str]) -> dict[str, str]:
    """The part of this machine's environment that a run on it gets."""
    patterns = [pattern for names in TO_A_RUN_HERE.values() for pattern in names.split()]
    return {
        name: value
        for name, value in environment.items()
        if any(fnmatchcase(name, pattern) for pattern in patterns)
    }


def is_proxied(url: str) -> bool:
    """Whether this machine reaches the server through a proxy, by its environment."""
    parts, proxies = urlsplit(url), getproxies()
    has_one = parts.scheme in proxies or "all" in proxies
    return has_one and not proxy_bypass(parts.netloc)
