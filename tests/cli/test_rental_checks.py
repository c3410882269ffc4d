"""What `fintts doctor` says of the keys on an instance, and of its end."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path

import pytest

from fintts_cli.errors import CloudError
from fintts_cli.infra.sky.clouds import SellerSays
from fintts_cli.infra.sky.server import server_that_asks_the_hub
from fintts_cli.rental_checks import RentalChecks, seller_finding
from fintts_store.probes import Verdict


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in (".runpod/config.toml", ".verda/config.json", ".config/doctl/config.yaml"):
        (tmp_path / name).parent.mkdir(parents=True)
        (tmp_path / name).write_text("planted")
    return tmp_path


def checks(home: Path, infra: str | None, *clouds: str, is_spot: bool = False) -> RentalChecks:
    return RentalChecks(infra, clouds, is_spot, home)


def test_the_key_on_the_instance_is_named_with_its_power_and_so_is_what_cannot_be_held_back(
    home: Path,
) -> None:
    found = checks(home, "runpod", "runpod").keys()
    assert found.sentence.startswith("on the instance: ~/.runpod; whoever controls that machine")
    assert "at your expense; SkyPilot copies ~/.config/doctl as well" in found.sentence
    assert found.verdict == Verdict.WARNING
    (home / ".config/doctl/config.yaml").unlink()
    (home / ".config/doctl").rmdir()
    assert checks(home, "runpod", "runpod").keys().verdict == Verdict.OK
    on_spot = checks(home, "aws", "aws", is_spot=True).keys()
    assert "SkyPilot copies ~/.runpod, ~/.verda as well" in on_spot.sentence
    assert checks(home, "lambda", "lambda").keys().sentence.startswith("no key of a cloud lies")


def test_where_skypilot_chooses_the_keys_of_all_it_may_choose_are_named(home: Path) -> None:
    found = checks(home, None, "runpod", "verda", "aws").keys()
    assert found.sentence.startswith("on the instance: ~/.runpod, ~/.verda; ")


def test_the_end_is_named_for_each_kind_of_cloud(home: Path) -> None:
    aws = checks(home, "aws/us-east-1", "aws").ending()
    assert (aws.sentence, aws.hint) == (
        "SkyPilot's autodown and a timed power-off, also with this machine shut",
        "",
    )
    verda = checks(home, "verda", "verda").ending()
    assert verda.sentence.startswith("SkyPilot's skylet, armed at the beginning of set-up, also")
    assert "reap" in verda.hint
    with pytest.raises(CloudError, match="no spot instance on verda"):
        checks(home, "verda", "verda", is_spot=True).ending()


@pytest.mark.parametrize(
    ("balance", "on_sale", "verdict", "sentence"),
    [
        (None, {}, Verdict.NOT_PROBED, "verda tells nothing"),
        (Decimal("12.5"), {"1A100.22V": True}, Verdict.OK, "$12.50 left on verda; 1A100.22V to be"),
        (Decimal(0), {"1A100.22V": True}, Verdict.FAILED, "$0.00 left on verda"),
        (Decimal(9), {"a": True, "b": False}, Verdict.WARNING, "a to be had now; b sold out"),
        (None, {"b": False}, Verdict.FAILED, "b sold out"),
    ],
)
def test_the_seller_s_own_word_decides_whether_a_launch_would_fail(
    balance: Decimal | None, on_sale: dict[str, bool], verdict: Verdict, sentence: str
) -> None:
    found = seller_finding("verda", SellerSays(balance, on_sale))
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


def test_a_server_that_could_copy_a_hugging_face_token_is_found(home: Path) -> None:
    with server() as pid:
        assert server_that_asks_the_hub() == pid
        found = checks(home, "runpod", "runpod").keys()
        assert f"SkyPilot's server (process {pid}) was started by another program" in found.sentence
        assert found.hint.startswith("`sky api stop`")
    with server(HF_HUB_OFFLINE="1", HF_TOKEN="planted") as pid:
        assert server_that_asks_the_hub() == pid
    with server(HF_HUB_OFFLINE="1"), server(HOME="/home/of/another"):
        assert server_that_asks_the_hub() is None
