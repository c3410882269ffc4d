"""Base models by Hugging Face id, against a hub of our own on loopback."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

import tiny_eval
from cli_project import Shell, write_project
from fintts_cli.hub import wanted_files
from fintts_cli.settings.hub_model import HubModel, looks_like_id, origin_of, parse
from fintts_store.backends.directory import DirectoryStore
from fintts_store.runs.runs import read_run
from hub_server import COMMIT, OWNER_MODEL, Hub, hub
from parity_fixtures import HERE
from tiny_run import TINY

SECRET = "hf_plantedPlantedPlanted"
SHORT = {"FINTTS_TRAINING__MAX_STEPS": "3"}
"""of a run that is there for its base model"""
NEEDED = {"config.json", "model.pth", "special_tokens.json", "tokenizer.tiktoken"}


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """The tiny base model, beside a file that no base model has."""
    folder = tmp_path / "repository"
    shutil.copytree(TINY, folder, ignore=shutil.ignore_patterns("expected*"))
    (folder / "README.md").write_text("---\nlicense: cc-by-nc-sa-4.0\n---\n")
    (folder / "codec.pth").write_bytes(b"large")
    return folder


@pytest.fixture
def public(repository: Path) -> Iterator[Hub]:
    with hub(repository) as serving:
        yield serving


@pytest.fixture
def gated(repository: Path) -> Iterator[Hub]:
    with hub(repository, token=SECRET) as serving:
        yield serving


def project(tmp_path: Path, base_model: str) -> Path:
    """A project whose base model is that one."""
    folder = write_project(tmp_path / "project")
    path = folder / "fintts.yaml"
    path.write_text(path.read_text().replace(f"base_model: {TINY}", f"base_model: {base_model}"))
    assert base_model in path.read_text()
    return folder


def shell(tmp_path: Path, serving: str, base_model: str = OWNER_MODEL, **others: str) -> Shell:
    home = {"HF_HOME": str(tmp_path / "hf"), "HF_HUB_DISABLE_TELEMETRY": "1"}
    return Shell(project(tmp_path, base_model), HF_ENDPOINT=serving, **home, **others)


def test_a_run_downloads_its_base_model_once_and_says_which_commit(
    public: Hub, tmp_path: Path
) -> None:
    here = shell(tmp_path, public.url)
    done = here("train", "--name", "from-hub", "--json", **SHORT)
    assert done.returncode == 0, done.stderr
    assert f"{OWNER_MODEL} at commit {COMMIT[:12]}" in done.stderr
    assert set(public.fetched) == {*NEEDED, "README.md"}
    record = read_run(DirectoryStore(here.project / "store"), "from-hub")
    assert (record.base_model.name, record.base_model.revision) == (OWNER_MODEL, COMMIT)
    public.fetched.clear()
    again = here("cloud", "launch", "--dry-run", "--name", "another")
    assert again.returncode == 0, again.stderr
    assert public.fetched == []
    pulled = here("export", "from-hub", "--format", "peft", "--to", str(tmp_path / "out"))
    assert pulled.returncode == 0, pulled.stderr
    config = json.loads((tmp_path / "out" / "adapter_config.json").read_text())
    assert config["base_model_name_or_path"] == OWNER_MODEL
    assert "cc-by-nc-sa-4.0" in (tmp_path / "out" / "README.md").read_text()


def test_before_the_download_nothing_is_fetched_for_a_look(public: Hub, tmp_path: Path) -> None:
    here = shell(tmp_path, public.url)
    for command in (("cloud", "launch", "--dry-run"), ("estimate",)):
        done = here(*command)
        if command == ("estimate",):  # its speed is set, so the model need not be known
            assert done.returncode == 0, done.stderr
            continue
        assert done.returncode == 2
        assert f"{OWNER_MODEL} is not on this machine yet" in done.stderr
        assert f"hf download {OWNER_MODEL}" in done.stderr
    checked = here("data", "check")
    assert f"the base model {OWNER_MODEL} is not on this machine yet" in checked.stderr
    assert checked.returncode == 0
    assert public.asked == []


def test_a_gated_model_says_where_to_accept_its_licence(gated: Hub, tmp_path: Path) -> None:
    done = shell(tmp_path, gated.url, HF_TOKEN="")("train")
    assert done.returncode == 2
    assert f"accept the licence of {OWNER_MODEL}" in done.stderr
    assert f"https://huggingface.co/{OWNER_MODEL}" in done.stderr
    assert "HF_TOKEN" in done.stderr
    assert "Traceback" not in done.stderr


def test_the_token_stays_on_this_machine(gated: Hub, tmp_path: Path) -> None:
    here = shell(tmp_path, gated.url, HF_TOKEN=SECRET)
    done = here("cloud", "launch", "--yes", "--name", "gated", **SHORT)
    assert done.returncode == 0, done.stderr
    places = [here.project, here.state]
    files = [path for place in places for path in place.rglob("*") if path.is_file()]
    assert any(path.name == "run.json" for path in files)
    assert [path for path in files if SECRET.encode() in path.read_bytes()] == []
    assert SECRET not in done.stdout + done.stderr


@pytest.mark.parametrize(
    ("base_model", "sentence", "hint"),
    [
        ("speech/other", "speech/other is neither a folder here nor a model", "base_model"),
        (f"{OWNER_MODEL}@old", f"{OWNER_MODEL} has no revision old", "/commits"),
        ("hf://tiny", "write a Hugging Face model as hf://OWNER/NAME", "fintts init"),
    ],
)
def test_a_model_that_is_not_there_is_said_in_a_sentence(
    base_model: str, sentence: str, hint: str, public: Hub, tmp_path: Path
) -> None:
    done = shell(tmp_path, public.url, base_model)("train")
    assert done.returncode == 2
    assert sentence in done.stderr
    assert hint in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "project" / "store" / "runs").exists()


def test_without_a_network_a_downloaded_model_does(public: Hub, tmp_path: Path) -> None:
    nobody = "http://127.0.0.1:9"
    missing = shell(tmp_path, nobody)("train")
    assert missing.returncode == 2
    assert f"{OWNER_MODEL} cannot be downloaded" in missing.stderr
    offline = Shell(tmp_path / "project", HF_HUB_OFFLINE="1", HF_HOME=str(tmp_path / "hf"))
    refused = offline("train")
    assert refused.returncode == 2
    assert "HF_HUB_OFFLINE" in refused.stderr
    online = Shell(tmp_path / "project", HF_ENDPOINT=public.url, HF_HOME=str(tmp_path / "hf"))
    assert online("train", "--name", "one", **SHORT).returncode == 0
    done = offline("train", "--name", "two", **SHORT)
    assert done.returncode == 0, done.stderr


def test_a_folder_wins_over_an_id(public: Hub, tmp_path: Path) -> None:
    here = shell(tmp_path, public.url)
    shutil.copytree(public.folder, here.project / OWNER_MODEL)
    done = here("train", **SHORT)
    assert done.returncode == 0, done.stderr
    assert public.asked == []


@pytest.mark.parametrize(
    ("text", "model"),
    [
        ("hf://a/b", HubModel("a/b")),
        ("a/b@v1.0", HubModel("a/b", "v1.0")),
        (
            "fishaudio/openaudio-s1-mini@refs/pr/3",
            HubModel("fishaudio/openaudio-s1-mini", "refs/pr/3"),
        ),
    ],
)
def test_an_id_is_owner_name_and_perhaps_a_revision(text: str, model: HubModel) -> None:
    assert parse(text) == model


@pytest.mark.parametrize("text", ["model", "./a/b", "../a", "/a/b", "a/b/c", "a/", "~/a", ""])
def test_what_is_no_id(text: str) -> None:
    assert not looks_like_id(text)


def test_a_run_that_speaks_downloads_the_codec_too(public: Hub, tmp_path: Path) -> None:
    here = shell(tmp_path, public.url)
    done = here("train", "--name", "from-hub", **SHORT, FINTTS_SAMPLES__HELD_OUT="1")
    assert "codec.pth" in public.fetched
    assert done.returncode != 0
    assert "codec.pth" in done.stderr, "this one is no codec"


def test_weights_that_can_hold_code_are_left_out_where_there_are_others() -> None:
    names = ["config.json", "model.pth", "a.safetensors", "codec.pth", "sub/b.safetensors"]
    assert wanted_files(names) == ["a.safetensors", "config.json"]
    assert wanted_files(["model.pth", "codec.pth"]) == ["model.pth"]


def test_a_folder_of_the_cache_knows_where_it_came_from() -> None:
    cache = Path("/x/hub/models--fishaudio--openaudio-s1-mini/snapshots/abc")
    assert origin_of(cache) == HubModel("fishaudio/openaudio-s1-mini", "abc")
    assert origin_of(Path("/x/models/snapshots/abc")) is None
    assert origin_of(Path("/base_model")) is None


def test_a_speech_recogniser_is_downloaded_without_what_can_hold_code(tmp_path: Path) -> None:
    repository = tiny_eval.write_ctc(tmp_path / "asr")
    (repository / "pytorch_model.bin").write_bytes(b"pickle")
    (repository / "modeling.py").write_text("raise SystemExit")
    base = Path(shutil.copytree(TINY, tmp_path / "base"))
    shutil.copytree(HERE / "codec_for_fish_s1_tiny", base, dirs_exist_ok=True)
    asked = {
        "FINTTS_SAMPLES__HELD_OUT": "1",
        "FINTTS_SAMPLES__MAX_SECONDS": "0.5",
        "FINTTS_SAMPLES__SECONDS_A_CHECK": "240",
        "FINTTS_EVAL__ASR": OWNER_MODEL,
        **SHORT,
    }
    with hub(repository) as serving:
        here = shell(tmp_path, serving.url, str(base))
        looked = here("cloud", "launch", "--dry-run", "--name", "heard", **asked)
        assert looked.returncode == 1
        assert f"the speech recogniser {OWNER_MODEL} is not on this machine yet" in looked.stderr
        assert serving.fetched == []
        done = here("train", "--name", "heard", **asked)
        assert done.returncode == 0, done.stderr
        assert "eval/cer" in done.stderr
        needed = {"config.json", "model.safetensors", "processor_config.json", "vocab.json"}
        assert set(serving.fetched) == needed | {"tokenizer_config.json"}
    record = read_run(DirectoryStore(here.project / "store"), "heard")
    assert {one.name for one in record.eval_models["asr"].files} == set(serving.fetched)
    again = here("cloud", "launch", "--dry-run", "--name", "another", HF_HUB_OFFLINE="1", **asked)
    assert again.returncode == 0, again.stderr
    asked["FINTTS_EVAL__ASR"] = "hf://nobody/nothing"
    wrong = here("train", "--name", "wrong", **asked)
    assert wrong.returncode == 2
    assert "eval.asr" in wrong.stderr
