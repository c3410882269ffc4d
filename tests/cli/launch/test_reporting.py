"""A tracker's key reaches the run as a secret, and nothing that anyone can read; without it no run
starts, nor does one whose trackers or notifications would get nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from cli_project import Shell, write_project
from fintts_cli.errors import ConfigError, UsageProblem
from fintts_cli.launch.reporting import require_reporting
from fintts_cli.settings.model import Settings
from fintts_cli.settings.read import read_settings
from fintts_inputs.trackers import VARIABLES, Tracker, keys_of, named, trackers_in
from fintts_store.output.redaction import without_secrets

LOOPBACK = "http://localhost:8080/"
KEY = "plantedplantedplantedplantedplanted12345"


@pytest.fixture(autouse=True)
def _no_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    for names in VARIABLES.values():
        for name in names:
            monkeypatch.delenv(name, raising=False)


def settings(folder: Path, text: str) -> Settings:
    (folder / "fintts.yaml").write_text(text)
    return read_settings({}, environment={}, folder=folder).settings


@pytest.mark.parametrize("text", ["wandb, trackio", "[wandb, trackio]"])
def test_trackers_are_named_as_text_or_list(text: str, own_folder: Path) -> None:
    found = settings(own_folder, f"trackers: {text}").trackers
    assert found == (Tracker.WANDB, Tracker.TRACKIO)
    assert trackers_in(named(found)) == found
    assert trackers_in(named(())) == ()


@pytest.mark.parametrize(
    ("text", "said"), [("mlflow", "'wandb' or 'trackio'"), ("[wandb, wandb]", "once"), ("7", "7")]
)
def test_another_tracker_is_refused(text: str, said: str, own_folder: Path) -> None:
    with pytest.raises(ConfigError, match=said):
        settings(own_folder, f"trackers: {text}")


@pytest.mark.parametrize(
    ("infra", "tracker", "given", "said"),
    [
        ("aws", "wandb", {}, "wandb needs WANDB_API_KEY"),
        ("aws", "wandb", {"WANDB_MODE": "offline"}, "wandb needs WANDB_API_KEY"),
        ("local", "wandb", {"WANDB_MODE": "offline"}, None),
        ("aws", "wandb", {"WANDB_API_KEY": KEY}, None),
        ("aws", "wandb", {"WANDB_API_KEY": KEY, "WANDB_MODE": "online"}, None),
        ("aws", "wandb", {"WANDB_API_KEY": KEY, "WANDB_MODE": "offline"}, "where they are lost"),
        ("aws", "wandb", {"WANDB_API_KEY": KEY, "WANDB_MODE": "dryrun"}, "where they are lost"),
        ("local", "wandb", {"WANDB_MODE": "dryrun"}, None),
        ("aws", "wandb", {"WANDB_API_KEY": KEY, "WANDB_BASE_URL": LOOPBACK}, "only on this"),
        ("local", "wandb", {"WANDB_API_KEY": KEY, "WANDB_BASE_URL": LOOPBACK}, None),
        ("aws", "wandb", {"WANDB_API_KEY": KEY, "WANDB_BASE_URL": "https://w.example.com"}, None),
        ("aws", "trackio", {"TRACKIO_SERVER_URL": f"{LOOPBACK}?write_token={KEY}"}, "only on this"),
        ("local", "trackio", {"TRACKIO_SERVER_URL": f"{LOOPBACK}?write_token={KEY}"}, None),
        ("local", "trackio", {}, None),
        ("aws", "trackio", {}, "trackio on a rented instance needs TRACKIO_SPACE_ID"),
        ("aws", "trackio", {"TRACKIO_SPACE_ID": "me/x"}, "trackio needs HF_TOKEN"),
        ("aws", "trackio", {"TRACKIO_SPACE_ID": "me/x", "HF_TOKEN": KEY}, None),
        ("aws", "trackio", {"TRACKIO_SERVER_URL": "https://h"}, "needs TRACKIO_WRITE_TOKEN"),
        ("aws", "trackio", {"TRACKIO_SERVER_URL": f"https://h?write_token={KEY}"}, None),
    ],
)
def test_what_a_tracker_lacks_is_said_before_anything_starts(
    infra: str,
    tracker: str,
    given: dict[str, str],
    said: str | None,
    own_folder: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    found = settings(own_folder, f"infra: {infra}\ntrackers: {tracker}")
    if said is None:
        require_reporting(found)
        return
    with pytest.raises(UsageProblem) as caught:
        require_reporting(found)
    assert said in caught.value.message
    assert KEY not in caught.value.message


@pytest.mark.parametrize("url", ["http://127.0.0.1:8000", "http://[::1]", "http://0.0.0.0/"])
def test_a_notification_to_this_machine_is_refused_for_a_rented_one(
    url: str, own_folder: Path
) -> None:
    text = f"notify: {url}/{KEY}"
    require_reporting(settings(own_folder, f"infra: local\n{text}"))
    with pytest.raises(UsageProblem, match="in `notify`, which is only on this machine") as caught:
        require_reporting(settings(own_folder, f"infra: aws\n{text}"))
    assert KEY not in caught.value.message


def test_a_hugging_face_token_goes_along_only_to_a_space() -> None:
    token = {"HF_TOKEN": KEY}
    assert keys_of([Tracker.WANDB], token) == {}
    assert keys_of([Tracker.TRACKIO], token) == {}
    to_a_space = token | {"TRACKIO_SPACE_ID": "me/space"}
    assert keys_of([Tracker.TRACKIO], to_a_space) == to_a_space


def test_a_server_s_address_may_hold_a_token_and_is_never_shown() -> None:
    address = f"https://trackio.example.com/?write_token={KEY[::-1]}"
    keys_of([Tracker.TRACKIO], {"TRACKIO_SERVER_URL": address})
    assert KEY[::-1] not in without_secrets(f"cannot reach {address}")


def test_doctor_names_what_the_run_gets_and_no_value(tmp_path: Path) -> None:
    shell = Shell(write_project(tmp_path / "speech"))
    lacking = shell("doctor", FINTTS_TRACKERS="wandb")
    assert lacking.returncode == 1
    assert "wandb needs WANDB_API_KEY" in lacking.stdout
    well = shell("doctor", FINTTS_TRACKERS="wandb,trackio", WANDB_API_KEY=KEY)
    assert "wandb, trackio; the run gets WANDB_API_KEY" in well.stdout
    assert "trackers" not in shell("doctor").stdout
    assert KEY not in well.stdout + well.stderr


def test_a_key_reaches_the_run_and_no_file(tmp_path: Path) -> None:
    """The server does not exist, so the library is not even asked for more than its words."""
    shell = Shell(write_project(tmp_path / "speech"))
    variables = {"FINTTS_TRACKERS": "wandb", "WANDB_BASE_URL": "http://127.0.0.1:9"}
    refused = shell("cloud", "launch", "--yes", "--name", "mine", **variables)
    assert refused.returncode == 2
    assert "error: wandb needs WANDB_API_KEY" in refused.stderr
    done = shell("cloud", "launch", "--yes", "--name", "mine", **variables, WANDB_API_KEY=KEY)
    assert done.returncode == 0, done.stderr
    log = shell("cloud", "logs", "mine").stdout
    assert "wandb loses rows of this run, which trains on" in log
    assert "WANDB_API_KEY" not in log
    for path in tmp_path.rglob("*"):
        assert path.is_dir() or KEY.encode() not in path.read_bytes(), path
