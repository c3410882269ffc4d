"""What is refused before a machine is rented."""

from __future__ import annotations

from pathlib import Path

import pytest

from fintts_cli.errors import CloudError, UsageProblem
from fintts_cli.infra.sky.server import session
from fintts_cli.launch import preconditions
from fintts_cli.launch.preconditions import refuse_unsafe_rental, unarmed
from fintts_cli.settings.model import Settings

BUCKET = "s3://bucket/prefix"
LOG = Path("sky.log")


@pytest.mark.parametrize(
    "endpoint", ["http://localhost:9000", "http://127.0.0.1:9000", "http://[::1]:9000"]
)
def test_a_store_on_this_machine_is_out_of_an_instance_s_reach(endpoint: str) -> None:
    with pytest.raises(UsageProblem, match="is only on this machine"):
        refuse_unsafe_rental(LOG, Settings(infra="aws"), f"{BUCKET}?endpoint_url={endpoint}")


@pytest.mark.parametrize("folder", ["/srv/store", "store"])
def test_a_folder_is_out_of_an_instance_s_reach(folder: str) -> None:
    with pytest.raises(UsageProblem, match=f"cannot reach the folder {folder}") as refused:
        refuse_unsafe_rental(LOG, Settings(), folder)
    assert "--store s3://BUCKET" in refused.value.hint


@pytest.mark.parametrize(
    ("infra", "key"),
    [("Verda/FIN-01", ".verda/config.json"), ("hyperbolic", ".hyperbolic/api_key")],
)
def test_nothing_is_rented_that_would_not_end(
    infra: str, key: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    with pytest.raises(CloudError, match=f"ends itself with your key from ~/{key}"):
        refuse_unsafe_rental(LOG, Settings(infra=infra), BUCKET)
    (tmp_path / key).parent.mkdir()
    (tmp_path / key).write_text("{}")
    refuse_unsafe_rental(LOG, Settings(infra=infra), BUCKET)
    with pytest.raises(CloudError, match="SkyPilot cannot end spot instances on"):
        refuse_unsafe_rental(LOG, Settings(infra=infra, spot=True), BUCKET)


def test_without_skypilot_nobody_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session, "find_spec", lambda _name: None)
    with pytest.raises(CloudError, match="SkyPilot is not installed here") as refused:
        refuse_unsafe_rental(LOG, Settings(infra="aws"), BUCKET)
    assert "fintts[sky]" in refused.value.hint


@pytest.mark.parametrize("store", [BUCKET, f"{BUCKET}?endpoint_url=https://s3.example.org"])
@pytest.mark.parametrize("infra", [None, "aws", "aws/us-east-1", "runpod"])
def test_everything_else_may_be_tried(infra: str | None, store: str) -> None:
    refuse_unsafe_rental(LOG, Settings(infra=infra), store)


def test_a_spot_run_needs_somebody_to_watch_over_it(monkeypatch: pytest.MonkeyPatch) -> None:
    def nobody(_log: Path) -> None:
        raise CloudError("SkyPilot would rent a second instance")

    monkeypatch.setattr(preconditions, "require_own_controller", nobody)
    refuse_unsafe_rental(LOG, Settings(infra="aws"), BUCKET)
    with pytest.raises(CloudError, match="a second instance"):
        refuse_unsafe_rental(LOG, Settings(infra="aws", spot=True), BUCKET)


@pytest.mark.parametrize(
    ("infra", "where"),
    [
        *(("aws", None), ("AWS/us-east-1", None), ("runpod", None)),
        *(("gcp/europe", "on gcp"), (None, "other clouds")),
    ],
)
def test_where_no_end_can_be_armed_that_is_said(infra: str | None, where: str | None) -> None:
    danger = unarmed(infra, is_spot=False)
    assert danger is None if where is None else where in (danger or "")
    assert "on runpod" in (unarmed("runpod", is_spot=True) or "")
