"""What of a machine's environment a run gets: all it needs on this one, and no proxy elsewhere."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from checks import every
from fintts_cli.errors import UsageProblem
from fintts_cli.infra.environment import TO_A_RUN_HERE, for_a_run_here
from fintts_cli.launch.preconditions import refuse_unsafe_rental
from fintts_cli.settings.model import Settings
from fintts_store.network.reach import is_proxied

LOG = Path("sky.log")
NEEDED = [
    *("PATH", "HOME", "LANG", "LC_ALL", "LC_CTYPE", "TMPDIR", "USER"),
    *("CUDA_VISIBLE_DEVICES", "LD_LIBRARY_PATH", "OMP_NUM_THREADS", "MKL_NUM_THREADS"),
    *("CC", "TRITON_CACHE_DIR", "TORCHINDUCTOR_CACHE_DIR", "CUDA_CACHE_PATH"),
    *("CUDA_MPS_PIPE_DIRECTORY", "HIP_VISIBLE_DEVICES", "NVIDIA_VISIBLE_DEVICES"),
    *("PYTORCH_CUDA_ALLOC_CONF", "NCCL_SOCKET_IFNAME", "FINTTS_PROCESSES"),
    *("HTTPS_PROXY", "https_proxy", "NO_PROXY", "no_proxy", "ALL_PROXY"),
    *("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "AWS_CA_BUNDLE", "AWS_PROFILE"),
    *("PIP_INDEX_URL", "UV_INDEX_URL"),
]
LEFT_HERE = [
    *("PYTHONPATH", "PYTHONWARNINGS", "PYTHONSTARTUP", "LD_PRELOAD", "BASH_ENV"),
    *("FINTTS_BUDGET_USD", "FINTTS_STORE", "FINTTS_STATE_DIR", "HF_TOKEN", "WANDB_API_KEY"),
    *("SSH_AUTH_SOCK", "GITHUB_TOKEN", "MY_AWS_KEY"),
]


def test_a_run_here_gets_what_it_needs_and_no_more() -> None:
    here = dict.fromkeys((*NEEDED, *LEFT_HERE), "x")
    assert for_a_run_here(here) == dict.fromkeys(NEEDED, "x")


def test_every_line_of_the_table_has_its_reason() -> None:
    assert every(why and names.split() for why, names in TO_A_RUN_HERE.items())


@pytest.fixture
def proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.lower().endswith("_proxy")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HTTPS_PROXY", "http://me:secret@proxy.corp:3128")
    monkeypatch.setenv("http_proxy", "http://me:secret@proxy.corp:3128")
    monkeypatch.setenv("NO_PROXY", "direct.corp,10.1.2.3")


PRIVATE = ["https://minio.corp", "http://10.1.2.4:9000", "https://minio", "https://s3.lan:9000"]


@pytest.mark.usefixtures("proxy")
@pytest.mark.parametrize("endpoint", PRIVATE)
def test_a_store_that_the_proxy_alone_reaches_is_refused(endpoint: str) -> None:
    assert is_proxied(endpoint)
    with pytest.raises(UsageProblem, match="through a proxy") as refused:
        refuse_unsafe_rental(LOG, Settings(infra="aws"), f"s3://bucket/p?endpoint_url={endpoint}")
    assert "NO_PROXY" in refused.value.hint
    assert "secret" not in refused.value.message + refused.value.hint


@pytest.mark.usefixtures("proxy")
@pytest.mark.parametrize(
    "store",
    [
        "s3://bucket/p",
        "s3://bucket/p?endpoint_url=https://s3.example.org",
        "s3://bucket/p?endpoint_url=https://direct.corp",
        "s3://bucket/p?endpoint_url=http://10.1.2.3:9000",
    ],
)
def test_a_store_that_is_public_or_near_an_instance_may_be_tried(store: str) -> None:
    refuse_unsafe_rental(LOG, Settings(infra="aws"), store)


def test_without_a_proxy_a_private_store_may_be_near_an_instance() -> None:
    refuse_unsafe_rental(LOG, Settings(infra="aws"), "s3://bucket/p?endpoint_url=http://10.1.2.4")
