"""Which keys SkyPilot would copy to an instance, by its own functions, with planted ones.

The program stands for SkyPilot's server: it loads the plugin and takes requests as the server does,
and lists the files that SkyPilot would mount.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from fintts_cli.infra.sky.server.keys import KEY_FILES, held_back_by_plugin
from fintts_cli.infra.sky.server.plugins import CLASSES, PLUGINS, with_plugins
from loopback_server import QuietHandler, loopback_server

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
CATALOGS = Path(__file__).parent / "catalogs"
OFFERS = {
    "lambda": ("gpu_1x_a6000", "us-east-1"),
    "runpod": ("1x_A100-80GB_SECURE", "CA"),
    "verda": ("1H200.141S.44V", "FIN-02"),
}
"""a GPU in the catalog of each, and its region"""
ASKED = """
import json, sys
from pathlib import Path
import yaml
from fintts_cli.infra.sky.server.keys import held_back_by_setting
from fintts_cli.infra.sky.server.session import sky_session

offers, log = json.loads(sys.argv[1]), Path(sys.argv[2])

def written(sky, cluster, cloud):
    from sky.backends import backend_utils
    kind, region = offers[cloud]
    resources = sky.Resources(infra=f"{cloud}/{region}", instance_type=kind)
    [found] = resources.cloud.regions_with_offering(kind, None, False, region, None)
    made = backend_utils.write_cluster_config(
        resources, 1, f"{cloud}-ray.yml.j2", cluster, Path("wheel"), "hash", found,
        zones=found.zones, dryrun=True,
    )
    mounted = yaml.safe_load(Path(made["ray"]).read_text())["file_mounts"]
    return list(mounted.values())

def as_server(sky, clouds, work):
    sky.utils.annotations.is_on_api_server = False  # as each function of the SDK does
    with held_back_by_setting(sky, clouds):
        body = sky.server.requests.payloads.RequestBody()
    from sky.server.requests import executor
    sky.utils.annotations.is_on_api_server = True
    with executor.override_request_env_and_config(body, "a-request", "sky.launch"):
        return work()

def own(sky, cloud):
    from sky import skypilot_config
    from sky.utils import registry
    from fintts_cli.infra.sky.server.key_plugin import own_key
    kept = [
        each for name, each in registry.CLOUD_REGISTRY.items()
        if skypilot_config.get_effective_workspace_region_config(
            cloud=name.lower(), region=None, keys=("remote_identity",), default_value=None
        ) == "NO_UPLOAD"
    ]
    return list(own_key(registry.CLOUD_REGISTRY[cloud], kept).values())

with sky_session(log) as sky:
    from sky import check
    from sky.server import plugins
    usual = check.get_cloud_credential_file_mounts
    context = plugins.ExtensionContext(context=plugins.PluginContext.EXECUTOR)
    plugins.load_plugins(context)
    said = {f"on {cloud}": as_server(sky, [cloud], lambda: written(sky, "fintts-v1", cloud))
            for cloud in offers}
    said["another"] = written(sky, "v1", "lambda")
    clouds = [name for name in sky.utils.registry.CLOUD_REGISTRY]
    for name in clouds:
        said[name] = as_server(sky, [name], lambda: own(sky, name))
    said["plain"] = list(usual(None).values())
print(json.dumps(said))
"""


class Hub(QuietHandler):
    """A hub that knows every token."""

    def do_GET(self) -> None:  # noqa: N802 - the name that http.server calls
        body = b'{"name": "somebody", "type": "user"}'
        self.say(200, body, Content_Type="application/json")


@pytest.fixture(scope="module")
def hub() -> Iterator[str]:
    with loopback_server(Hub) as url:
        yield url


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("home")
    for name, text in PLANTED.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return folder


@pytest.fixture(scope="module")
def copied(home: Path, hub: str) -> dict[str, set[str]]:
    """What SkyPilot copies, below the home folder, by where it copies it."""
    for cloud in OFFERS:
        catalog = home / ".sky" / "catalogs" / "v8" / cloud / "vms.csv"
        catalog.parent.mkdir(parents=True)
        shutil.copy(CATALOGS / f"{cloud}.csv", catalog)
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
    program = [sys.executable, "-c", ASKED, json.dumps(OFFERS), str(home / "log")]
    done = subprocess.run(program, env=kept | own, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    said: dict[str, list[str]] = json.loads(done.stdout.splitlines()[-1])
    return {name: set(below(home, paths)) for name, paths in said.items()}


def below(home: Path, paths: list[str]) -> Iterator[str]:
    """Without what SkyPilot itself makes."""
    for path in paths:
        there = Path(path.replace("~", str(home), 1)).resolve()
        if there.is_relative_to(home) and not there.is_relative_to(home / ".sky"):
            yield str(there.relative_to(home))


def is_key_of(path: str, cloud: str) -> bool:
    return any(path == each or path.startswith(f"{each}/") for each in KEY_FILES[cloud])


def test_skypilot_itself_copies_the_keys_of_all_clouds_and_the_hubs_token(
    copied: dict[str, set[str]],
) -> None:
    """If this fails, SkyPilot has changed, and with it what has to be held back."""
    plain = copied["plain"]
    clouds = {cloud for cloud in KEY_FILES if any(is_key_of(path, cloud) for path in plain)}
    assert clouds >= {"aws", "gcp", "lambda", "nebius", "runpod", "vast", "verda", "shadeform"}
    assert ".cache/huggingface/token" in plain


def test_each_file_that_skypilot_copies_is_known_as_some_clouds_key(
    copied: dict[str, set[str]],
) -> None:
    known = [path for path in copied["plain"] for cloud in KEY_FILES if is_key_of(path, cloud)]
    assert copied["plain"] - set(known) == {".cache/huggingface/token"}


@pytest.mark.parametrize("cloud", ["lambda", "verda"])
def test_an_instance_gets_the_key_of_its_own_cloud_alone(
    copied: dict[str, set[str]], cloud: str
) -> None:
    assert copied[f"on {cloud}"]
    assert all(is_key_of(path, cloud) for path in copied[f"on {cloud}"])


def test_a_pod_gets_no_key_of_a_cloud(copied: dict[str, set[str]]) -> None:
    assert copied["on runpod"] == set()


def test_a_cluster_of_another_program_gets_what_skypilot_gives_it(
    copied: dict[str, set[str]],
) -> None:
    assert {".lambda_cloud/lambda_keys", ".verda/config.json"} <= copied["another"]


def test_on_each_cloud_the_plugin_leaves_its_own_key_alone(copied: dict[str, set[str]]) -> None:
    clouds = {cloud for cloud in copied if cloud in KEY_FILES}
    assert clouds >= set(OFFERS)
    for cloud in clouds:
        assert {path for path in copied[cloud] if not is_key_of(path, cloud)} == set()
    for cloud in ("gcp", "nebius", "vast", "do", "azure"):
        assert copied[cloud]
    assert copied["aws"] == copied["runpod"] == set()


def test_what_only_the_plugin_holds_back_is_named(home: Path) -> None:
    named = held_back_by_plugin(home, ["lambda"])
    assert {"~/.runpod", "~/.verda", "~/.config/doctl", "~/.cache/huggingface/token"} <= set(named)
    assert not {"~/.lambda_cloud", "~/.aws", "~/.config/gcloud"}.intersection(named)
    assert "~/.runpod" in held_back_by_plugin(home, ["runpod"])
    assert held_back_by_plugin(home / "elsewhere", ["lambda"]) == []


def test_your_own_plugins_are_loaded_as_well(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv(PLUGINS, raising=False)
    theirs = tmp_path / ".sky" / "plugins.yaml"
    theirs.parent.mkdir()
    theirs.write_text("plugins:\n- class: mine.Plugin\n  parameters: {a: 1}\n")
    with with_plugins(), with_plugins():  # a session within a session
        file = Path(os.environ[PLUGINS])
    assert yaml.safe_load(file.read_text())["plugins"] == [
        {"class": "mine.Plugin", "parameters": {"a": 1}},
        *({"class": name} for name in CLASSES),
    ]
    assert PLUGINS not in os.environ
    theirs.write_text("plugins: [1]")
    with pytest.raises(ValueError, match="is not a list of plugins"), with_plugins():
        pass
