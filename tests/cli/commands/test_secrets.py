"""No command says a secret: neither of AWS's settings nor of Hugging Face's."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from typer.testing import Result

from cli_project import write_project
from command_line import invoke
from fintts_cli.errors import ConfigError
from fintts_cli.hub import describe
from fintts_cli.settings.hub_model import HubModel
from loopback_server import QuietHandler, loopback_server
from tiny_run import TINY

SECRET = "planted+Secret/with+slash0123456789abcd"
TOKEN = "FwoGZXIvYXdzEPLANTEDplantedPLANTEDplanted=="
HUB = "hf_plantedPlantedPlantedPlanted"
MODEL = HubModel("speech/tiny")


def shows_nothing(*texts: str) -> None:
    for text in texts:
        for secret in (SECRET, TOKEN, HUB):
            assert secret not in text
            assert secret[:-2] not in text


@pytest.fixture(autouse=True)
def aws(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAPLANTED00PLANTED")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))


def fintts(*arguments: str) -> Result:
    done = invoke(list(arguments))
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
    shows_nothing(done.stdout, done.stderr)
    return done


AT = ("--store", "s3://bucket/exp", "--s3-endpoint-url", "http://127.0.0.1:9")
COMMANDS = [
    ("store", "check"),
    ("cloud", "ps"),
    ("cloud", "down", "mine"),
    ("cloud", "launch", "--infra", "local", "--yes"),
    ("train",),
]


@pytest.mark.parametrize("as_json", [False, True])
@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_each_command_names_a_malformed_token(
    command: tuple[str, ...], as_json: bool, own_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_project(own_folder / "speech")
    monkeypatch.chdir(own_folder / "speech")
    monkeypatch.setenv("AWS_SESSION_TOKEN", f"{TOKEN}\n")
    where = (AT[1], *AT[2:]) if command[0] == "store" else AT
    done = fintts(*command, *where, *(["--json"] if as_json else []))
    assert done.exit_code == 5, done.stderr
    said = done.stdout if command[0] == "store" else done.stderr
    assert not as_json or json.loads(said if command[0] == "store" else said.splitlines()[-1])
    assert "AWS_SESSION_TOKEN has a space or a line break at its start or end" in said


def test_doctor_names_it_too(own_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_project(own_folder / "speech")
    monkeypatch.chdir(own_folder / "speech")
    monkeypatch.setenv("AWS_SESSION_TOKEN", f"{TOKEN}\n")
    done = fintts("doctor", "--infra", "local", *AT)
    assert done.exit_code == 1
    assert "AWS_SESSION_TOKEN has a space" in done.stdout
    assert json.loads(fintts("doctor", "--infra", "local", "--json", *AT).stdout)


@pytest.mark.parametrize(
    ("variables", "options", "said"),
    [
        ({}, ("--s3-endpoint-url", "http://"), "is not the URL of a server"),
        ({}, ("--s3-endpoint-url", "http://[::1"), "is not the URL of a server"),
        ({}, ("--s3-endpoint-url", "ftp://x"), "is not the URL of a server"),
        ({}, ("--s3-endpoint-url", "http://h:99999"), "is not the URL of a server"),
        ({}, ("--s3-endpoint-url", f"http://me:{SECRET}@h"), "contains credentials"),
        ({}, ("--store", f"s3://me:{SECRET}@bucket"), "contains credentials"),
        ({"AWS_ENDPOINT_URL": f"http://me:{SECRET}@h"}, (), "AWS_ENDPOINT_URL"),
        ({"AWS_PROFILE": ""}, AT[2:], "AWS_PROFILE is empty"),
        ({"AWS_PROFILE": "nobody"}, (), "there is no AWS profile nobody"),
        ({"AWS_MAX_ATTEMPTS": "many"}, AT[2:], "AWS_MAX_ATTEMPTS"),
        ({"AWS_DEFAULT_REGION": "eu west"}, (), "AWS_DEFAULT_REGION has a space"),
    ],
)
def test_settings_that_are_none_are_one_sentence(
    variables: dict[str, str],
    options: tuple[str, ...],
    said: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    done = fintts("cloud", "ps", "--json", *(() if "--store" in options else AT[:2]), *options)
    assert done.exit_code == 5
    document = json.loads(done.stderr)
    assert said in document["error"]
    assert document["hint"]
    assert "report it" not in document["hint"]


# --- Hugging Face ---------------------------------------------------------------------------------


@contextmanager
def answering(status: int) -> Iterator[str]:
    """A hub that refuses, and says the token that it was shown."""

    class Handler(QuietHandler):
        def do_GET(self) -> None:  # noqa: N802 - the name that http.server calls
            shown = self.headers.get("Authorization", "")
            self.say(
                status,
                b"",
                X_Error_Message=f"{shown} is not welcome, {HUB}",
                Location=f"http://me:{SECRET}@127.0.0.1:9/?X-Amz-Signature={TOKEN}",
            )

        def do_HEAD(self) -> None:  # noqa: N802 - the name that http.server calls
            self.do_GET()

    with loopback_server(Handler) as url:
        yield url


def refused(said: str = "speech/tiny") -> None:
    with pytest.raises(ConfigError, match=said) as caught:
        describe(MODEL)
    shows_nothing(caught.value.message, caught.value.hint)
    assert caught.value.hint
    assert caught.value.exit_code == 2


@pytest.mark.parametrize("status", [302, 307, 400, 401, 403, 404, 418, 451])
def test_no_answer_of_the_hub_makes_the_token_be_said(
    status: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", HUB)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "cache"))
    with answering(status) as url:
        monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", url)
        refused()


@pytest.mark.parametrize(
    "url",
    [
        f"http://me:{SECRET}@127.0.0.1:9",
        f"http://me:{SECRET}@[::1",
        f"ftp://me:{SECRET}@host",
        f"me:{SECRET}@host",
        f"http://me:{SECRET}",
        "http://h:99999",
        "",
    ],
)
def test_no_endpoint_of_the_hub_makes_its_password_be_said(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", url)
    refused("speech/tiny|HF_ENDPOINT is not the URL of a server")


@pytest.mark.parametrize("url", [f"me:{SECRET}", f"http://me:{SECRET}", f"http://me:{SECRET}@[::1"])
def test_a_proxy_that_is_none_is_named_and_not_shown(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("HTTPS_PROXY", url)
    refused("HTTPS_PROXY is not the URL of a proxy")


@pytest.mark.parametrize("odd", ["{}ä", "{}\n", "{}\n{}", "\u201c{}", "{} ", "{}\x01"])
def test_a_malformed_token_is_named(
    odd: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", odd.format(HUB, HUB))
    refused("the token in HF_TOKEN has")
    monkeypatch.delenv("HF_TOKEN")
    monkeypatch.delenv("HUGGING_FACE_HUB_TOKEN", raising=False)
    (tmp_path / "token").write_text(f"{HUB}ä\n")
    monkeypatch.setattr("huggingface_hub.constants.HF_TOKEN_PATH", str(tmp_path / "token"))
    refused("token has a character that is not ASCII")


def test_train_says_it_before_anything_is_written(
    own_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = write_project(own_folder / "speech")
    path = project / "fintts.yaml"
    path.write_text(path.read_text().replace(f"base_model: {TINY}", "base_model: speech/tiny"))
    monkeypatch.chdir(project)
    monkeypatch.setenv("HF_TOKEN", f"{HUB}ä")
    done = fintts("train")
    assert done.exit_code == 2
    assert "the token in HF_TOKEN has a character that is not ASCII" in done.stderr
