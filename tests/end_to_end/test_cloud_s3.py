"""The main job with its store in S3: launch, resume, pull; no credentials beside the instance."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from cli_project import Shell, wait_for_commit, write_project
from fintts_store.backends.s3.addresses.parse import parse_address
from fintts_store.backends.s3.s3 import S3Store
from s3_servers import make_bucket

pytestmark = pytest.mark.end_to_end

SECRET = "a-secret-that-stays-here"


@pytest.fixture
def store(moto_endpoint: str, request: pytest.FixtureRequest) -> S3Store:
    return S3Store(make_bucket(moto_endpoint, f"e2e-{request.node.name.replace('_', '-')[-30:]}"))


def shell(tmp_path: Path, store: S3Store, patience: int) -> Shell:
    """As a user sets it up: the address in the environment, the keys beside it."""
    place, address = store.url.partition("?")[0], parse_address(store.url)
    return Shell(
        write_project(tmp_path / "project", patience),
        FINTTS_STORE=place,
        FINTTS_S3_ENDPOINT_URL=str(address.endpoint_url),
        AWS_SECRET_ACCESS_KEY=SECRET,
    )


def test_from_launch_to_pull_in_a_bucket(tmp_path: Path, store: S3Store) -> None:
    here = shell(tmp_path, store, patience=2)
    launched = here("cloud", "launch", "--name", "bucket", "--yes", "--json")
    assert launched.returncode == 0, launched.stderr
    assert json.loads(launched.stdout)["store"] == store.url
    (view,) = here.document("cloud", "ps")
    assert (view["run"], view["stop_reason"]) == ("bucket", "early_stopping")
    pulled = here.document("cloud", "pull-checkpoints", "--to", "home")["checkpoints"]
    assert [one["verified"] for one in pulled] == [True] * len(pulled)
    (best,) = [one for one in pulled if one["best"]]
    assert best["step"] == view["best_step"]
    adapter = here.project / best["path"] / "adapter_model.safetensors"
    assert adapter.stat().st_size > 0
    for path in here.state.rglob("*"):
        assert not path.is_file() or SECRET.encode() not in path.read_bytes(), path
    for entry in store.list("runs/"):
        assert SECRET.encode() not in store.get(entry.key, entry.size_bytes), entry.key


def test_a_run_that_was_torn_down_goes_on_from_the_bucket(tmp_path: Path, store: S3Store) -> None:
    here = shell(tmp_path, store, patience=1000)
    assert here("cloud", "launch", "--name", "again", "--yes", "-d", "-q").returncode == 0
    watch = here.start("cloud", "watch", "again")
    wait_for_commit(store, "again")
    assert here("cloud", "down", "again").returncode == 0
    watch.communicate()
    assert here("cloud", "launch", "--name", "again", "--yes", "-d", "-q").returncode == 0
    assert here("cloud", "stop", "again").returncode == 0
    assert "resumed at step" in here("cloud", "logs", "again").stdout
