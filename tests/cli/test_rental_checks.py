"""What `fintts doctor` says of the keys on an instance, and of its end."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path

import pytest

from fintts_cli.errors import CloudError
from fintts_cli.infra.sky.sellers.account import Account
from fintts_cli.infra.sky.server.plugins import OUR_PLUGINS, PLUGINS
from fintts_cli.rental_checks import ending_finding, keys_finding, seller_finding
from fintts_store.probes.probes import Finding, Verdict


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in (".runpod/config.toml", ".verda/config.json", ".config/doctl/config.yaml"):
        (tmp_path / name).parent.mkdir(parents=True)
        (tmp_path / name).write_text("planted")
    return tmp_path


def keys(home: Path, infra: str | None, *clouds: str) -> Finding:
    return keys_finding(infra, clouds, home)


def test_the_key_on_the_instance_is_named_with_its_power(home: Path) -> None:
    verda = keys(home, "verda", "verda").sentence
    assert verda.startswith("on the instance: ~/.verda; anyone who controls that machine")
    assert verda.endswith("at your expense")
    assert "its own key" in keys(home, "runpod", "runpod").sentence
    assert keys(home, "lambda", "lambda").sentence.startswith("no cloud key is on")
    assert "role skypilot-v1" in keys(home, "aws", "aws").sentence


def test_where_skypilot_chooses_the_keys_of_all_it_may_choose_are_named(home: Path) -> None:
    found = keys(home, None, "do", "runpod", "verda", "aws")
    assert found.sentence.startswith("on the instance: one of ~/.config/doctl, ~/.verda; ")


def test_the_end_is_named_for_each_kind_of_cloud(home: Path) -> None:
    aws = ending_finding("aws/us-east-1", is_spot=False)
    assert (aws.sentence, aws.hint) == (
        "SkyPilot's autodown and a timed power-off, even with this machine off",
        "",
    )
    verda = ending_finding("verda", is_spot=False)
    assert verda.sentence.startswith("SkyPilot's skylet, armed at the beginning of set-up, even")
    assert "reap" in verda.hint
    with pytest.raises(CloudError, match="cannot end spot instances on verda"):
        ending_finding("verda", is_spot=True)
    (home / ".verda/config.json").unlink()
    with pytest.raises(CloudError, match=r"your key from ~/\.verda/config\.json"):
        ending_finding("verda", is_spot=False)


@pytest.mark.parametrize(
    ("balance", "on_sale", "verdict", "sentence"),
    [
        (None, {}, Verdict.NOT_PROBED, "SkyPilot's client for verda"),
        (Decimal("12.5"), {"1A100.22V": True}, Verdict.OK, "$12.50 left on verda; 1A100.22V"),
        (Decimal(0), {"1A100.22V": True}, Verdict.FAILED, "$0.00 left on verda"),
        (Decimal(9), {"a": True, "b": False}, Verdict.WARNING, "a available now; b sold out"),
        (None, {"b": False}, Verdict.FAILED, "b sold out"),
    ],
)
def test_the_seller_s_own_word_decides_whether_a_launch_would_fail(
    balance: Decimal | None, on_sale: dict[str, bool], verdict: Verdict, sentence: str
) -> None:
    found = seller_finding("verda", Account(balance, on_sale))
    assert found.verdict == verdict
    assert sentence in found.sentence
    assert bool(found.hint) == (verdict in (Verdict.FAILED, Verdict.WARNING))


@contextmanager
def server(**environment: str) -> Iterator[int]:
    """A process that looks like SkyPilot's server."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith("HF_")}
    program = [sys.executable, "-c", "import time; print(flush=True); time.sleep(60)"]
    with subprocess.Popen(
        [*program, "-m", "sky.server.server"], env=kept | environment, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        try:
            yield process.pid
        finally:
            process.kill()


def test_a_server_that_would_copy_your_keys_is_refused(home: Path) -> None:
    with server() as pid, pytest.raises(CloudError) as refused:
        keys(home, "verda", "verda")
    assert (
        f"SkyPilot's server (process {pid}) was started by another program" in refused.value.message
    )
    assert "would copy ~/.config/doctl, ~/.runpod to the instance" in refused.value.message
    assert "`sky api stop`" in refused.value.hint
    settings = home / ".sky" / "config.yaml"
    settings.parent.mkdir()
    settings.write_text("api_server: {endpoint: https://sky.example.org}")
    with server():
        assert keys(home, "verda", "verda").verdict == Verdict.OK, "its owner decides"
    settings.write_text("jobs: {}")
    shutil.rmtree(home / ".runpod")
    with server(HF_TOKEN="x"), pytest.raises(CloudError, match="doctl, a Hugging Face token to"):
        keys(home, "verda", "verda")
    with server(), server(HOME="/home/of/another"):
        shutil.rmtree(home / ".config")
        assert keys(home, "verda", "verda").verdict == Verdict.OK
    with server(**{PLUGINS: str(home / OUR_PLUGINS)}, HF_TOKEN="x"):
        assert keys(home, "lambda", "lambda").verdict == Verdict.OK
