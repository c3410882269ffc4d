"""Which keys SkyPilot would copy to an instance, by its own functions, with planted ones.

Each program stands for SkyPilot's server: it takes a request as the server does, and lists the
files that `write_cluster_config` would mount.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from fintts_cli.infra.sky.keys import BY_SETTING, KEY_FILES, home_with_keys_of, not_held_back

PLANTED = {
    ".aws/credentials": "[default]\naws_access_key_id = A\naws_secret_access_key = B\n"
    "[nebius]\naws_access_key_id = C\naws_secret_access_key = D\n",
    ".aws/config": "[profile nebius]\nregion = eu-north1\n",
    ".azure/azureProfile.json": "{}",
    ".azure/msal_token_cache.json": "{}",
    ".config/doctl/config.yaml": "access-token: x\n",
    ".config/gcloud/credentials.db": "x",
    ".config/gcloud/application_default_credentials.json": "{}",
    ".config/cudo/cudo.yml": "key: x\n",
    ".config/mithril/config.yaml": "key: x\n",
    ".config/vastai/vast_api_key": "x",
    ".fluidstack/api_key": "x",
    ".hyperbolic/api_key": "x",
    ".ibm/credentials.yaml": "x: 1\n",
    ".kube/config": "apiVersion: v1\nkind: Config\n",
    ".lambda_cloud/lambda_keys": "api_key = x\n",
    ".nebius/credentials.json": "{}",
    ".paperspace/config.json": "{}",
    ".prime/config.json": "{}",
    ".runpod/config.toml": '[default]\napi_key = "x"\n',
    ".scp/scp_credential": "x",
    ".seeweb_cloud/seeweb_keys": "x",
    ".shadeform/api_key": "x",
    ".verda/config.json": "{}",
    ".vsphere/credential.yaml": "x: 1\n",
    ".yotta/credentials": "x",
    ".cache/huggingface/token": "hf_planted",
    ".config/other/settings": "kept",
    ".bashrc": "kept",
}
NOT_HELD_BACK = {".config/doctl/config.yaml"}
"""SkyPilot's server looks for DigitalOcean's key when it starts, whoever asks it later"""
TAKEN = """
import contextlib, json, os, sys
from pathlib import Path
from fintts_cli.infra.sky.keys import only_keys_of
from fintts_cli.infra.sky.session import sky_session

def mounts(sky):
    from sky import check, skypilot_config
    from sky.utils import registry
    kept = [
        cloud for name, cloud in registry.CLOUD_REGISTRY.items()
        if skypilot_config.get_effective_workspace_region_config(
            cloud=name.lower(), region=None, keys=("remote_identity",), default_value=None
        ) == "NO_UPLOAD"
    ]
    return check.get_cloud_credential_file_mounts(kept)

def requested(sky, clouds, is_spot):
    sky.utils.annotations.is_on_api_server = False  # as each function of the SDK does
    with only_keys_of(sky, clouds, is_spot=is_spot):
        return sky.server.requests.payloads.RequestBody()

asked = json.loads(sys.argv[1])
said = {}
if "plain" in asked:
    import sky
    said["plain"] = mounts(sky)
else:
    with sky_session(Path(sys.argv[2])) as sky:
        bodies = {name: requested(sky, *how) for name, how in asked.items()}
        from sky.server.requests import executor
        sky.utils.annotations.is_on_api_server = True
        for name, body in bodies.items():
            with executor.override_request_env_and_config(body, "a-request", "sky.launch"):
                said[name] = mounts(sky)
print(json.dumps(said))
"""


class Hub(BaseHTTPRequestHandler):
    """A hub that knows every token."""

    def do_GET(self) -> None:
        body = b'{"name": "somebody", "type": "user"}'
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Says nothing."""


@pytest.fixture(scope="module")
def hub() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Hub) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("home")
    for name, text in PLANTED.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return folder


def ask(home: Path, hub: str, asked: dict[str, Any]) -> dict[str, set[str]]:
    """What SkyPilot mounts, below the home folder, for each request."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    own = {
        "HOME": str(home),
        "HF_ENDPOINT": hub,
        "HF_HOME": str(home / ".cache" / "huggingface"),
        "HF_TOKEN": "hf_of_the_environment",
        "KUBECONFIG": str(home / ".kube" / "config"),
        "SKYPILOT_DISABLE_USAGE_COLLECTION": "1",
    }
    kept.pop("HF_HUB_OFFLINE", None)
    program = [sys.executable, "-c", TAKEN, json.dumps(asked), str(home / "log")]
    done = subprocess.run(program, env=kept | own, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    said: dict[str, dict[str, str]] = json.loads(done.stdout.splitlines()[-1])
    return {
        name: {below(home, path) for path in mounted.values()} for name, mounted in said.items()
    }


def below(home: Path, path: str) -> str:
    return str(Path(path.replace("~", str(home), 1)).resolve().relative_to(home))


@pytest.fixture(scope="module")
def plain(home: Path, hub: str) -> set[str]:
    """What SkyPilot mounts when nobody stops it."""
    return ask(home, hub, {"plain": True})["plain"]


@pytest.fixture(scope="module")
def taken(home: Path, hub: str) -> dict[str, set[str]]:
    clouds = ("aws", "gcp", "lambda", "nebius", "runpod", "vast", "verda")
    asked = {cloud: ([cloud], False) for cloud in clouds}
    return ask(home, hub, {**asked, "two": (["lambda", "runpod"], False), "spot": (["aws"], True)})


def is_key_of(path: str, cloud: str) -> bool:
    return any(path == each or path.startswith(f"{each}/") for each in KEY_FILES[cloud])


def test_skypilot_itself_copies_the_keys_of_all_clouds_and_the_hubs_token(plain: set[str]) -> None:
    """If this fails, SkyPilot has changed, and with it what has to be held back."""
    clouds = {cloud for cloud in KEY_FILES if any(is_key_of(path, cloud) for path in plain)}
    assert clouds >= {"aws", "gcp", "lambda", "nebius", "runpod", "vast", "verda", "shadeform"}
    assert ".cache/huggingface/token" in plain


def test_each_file_that_skypilot_copies_is_known_as_some_clouds_key(plain: set[str]) -> None:
    unknown = [
        path
        for path in plain
        if not any(is_key_of(path, cloud) for cloud in KEY_FILES)
        and not path.startswith(".sky/generated/kubeconfigs/")  # SkyPilot's copy of KUBECONFIG
    ]
    assert unknown == [".cache/huggingface/token"]


@pytest.mark.parametrize("cloud", ["gcp", "lambda", "nebius", "runpod", "vast", "verda"])
def test_an_instance_gets_the_key_of_its_own_cloud_alone(
    taken: dict[str, set[str]], cloud: str
) -> None:
    own = {path for path in taken[cloud] if is_key_of(path, cloud)}
    assert own
    assert taken[cloud] - own == NOT_HELD_BACK


def test_an_instance_on_aws_gets_no_key_of_a_cloud_that_rents_gpus(
    taken: dict[str, set[str]],
) -> None:
    assert taken["aws"] == NOT_HELD_BACK


def test_where_skypilot_chooses_the_keys_of_what_it_may_choose_go_along(
    taken: dict[str, set[str]],
) -> None:
    both = {".lambda_cloud/lambda_keys", ".runpod/config.toml"}
    assert taken["two"] == both | NOT_HELD_BACK


def test_a_spot_instance_gets_only_what_no_setting_keeps_here_and_that_is_named(
    taken: dict[str, set[str]], home: Path
) -> None:
    assert [path for path in taken["spot"] if "huggingface" in path] == []
    held = [cloud for cloud in BY_SETTING if cloud in KEY_FILES]
    assert not [path for path in taken["spot"] for cloud in held if is_key_of(path, cloud)]
    named = [path.removeprefix("~/") for path in not_held_back(home, {"aws"}, is_spot=True)]
    assert ".runpod" in named
    assert taken["spot"]
    assert [path for path in taken["spot"] if not path.startswith(tuple(named))] == []


def test_what_cannot_be_held_back_is_named(home: Path) -> None:
    assert not_held_back(home, {"aws"}, is_spot=False) == ["~/.config/doctl"]
    assert not_held_back(home, {"do"}, is_spot=False) == []


def test_the_home_of_a_launch_has_all_else_and_follows_the_real_one(home: Path) -> None:
    folder = home_with_keys_of(home, {"vast"})
    assert (folder / ".bashrc").read_text() == "kept"
    assert (folder / ".config" / "other" / "settings").read_text() == "kept"
    assert (folder / ".config" / "vastai" / "vast_api_key").exists()
    assert not (folder / ".runpod").exists()
    assert not (folder / ".config" / "gcloud").exists()
    assert (folder / ".sky").resolve() == home / ".sky"
    (home / "new").write_text("new")
    (home / ".bashrc").rename(home / ".bashrc-old")
    assert home_with_keys_of(home, {"vast"}) == folder
    assert (folder / "new").read_text() == "new"
    assert not (folder / ".bashrc").is_symlink()
    assert folder.stat().st_mode & 0o077 == 0


def test_launches_at_one_time_make_one_home_for_all_of_them(home: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(lambda _: home_with_keys_of(home, {"lambda"}), range(32)))
    assert set(made) == {home / ".sky" / "fintts" / "lambda"}
    assert (made[0] / ".lambda_cloud").resolve() == home / ".lambda_cloud"
    assert not (made[0] / ".verda").exists()
