"""Which of your keys SkyPilot copies to an instance, and how the others stay on this machine.

SkyPilot 0.14.1 copies the key files of every cloud to every instance, enabled or not
(`sky/check.py: get_cloud_credential_file_mounts`). A setting keeps some of them here. The rest is
looked for in the home folder of whoever makes the request, so a launch is requested with a home
folder that has links to all in yours but the keys of other clouds.
"""

from __future__ import annotations

from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fintts_cli.infra.sky.key_path import HOMES
from fintts_cli.infra.sky.session import enabled_clouds

if TYPE_CHECKING:
    from collections.abc import Collection, Generator, Mapping

AWS = "aws"
KEY_FILES: Mapping[str, tuple[str, ...]] = {
    "aws": (".aws",),
    "azure": (".azure",),
    "cudo": (".config/cudo",),
    "do": (".config/doctl", "Library/Application Support/doctl"),
    "fluidstack": (".fluidstack",),
    "gcp": (".config/gcloud",),
    "hyperbolic": (".hyperbolic",),
    "ibm": (".ibm",),
    "kubernetes": (".kube",),
    "lambda": (".lambda_cloud",),
    "mithril": (".config/mithril",),
    "nebius": (".nebius",),
    "oci": (".oci",),
    "paperspace": (".paperspace",),
    "primeintellect": (".prime",),
    "runpod": (".runpod",),
    "scp": (".scp",),
    "seeweb": (".seeweb_cloud",),
    "shadeform": (".shadeform",),
    "vast": (".config/vastai",),
    "verda": (".verda",),
    "vsphere": (".vsphere",),
    "yotta": (".yotta",),
}
"""cloud → where its key lies, below the home folder"""
OF_STORES = (".cloudflare", ".coreweave", ".vastdata", ".huggingface", ".cache/huggingface")
"""keys of stores and of Hugging Face, which no instance needs: it gets the store's as a secret"""
IDENTITY, KEPT_HERE = "remote_identity", "NO_UPLOAD"
BY_SETTING = ("aws", "azure", "gcp", "kubernetes", "nebius", "oci", "ssh", "vast")
"""clouds for which SkyPilot's settings take `remote_identity: NO_UPLOAD`"""
OWN_CLUSTERS = frozenset({"k8s", "kubernetes", "ssh"})
"""they are reached by the file that KUBECONFIG names"""
FOUND_AT_START = ("do",)
"""clouds whose key SkyPilot's server looks for when it starts, whoever makes a request later"""


def clouds_of(sky: Any, infra: str) -> frozenset[str]:
    """The cloud of the infra; all that SkyPilot may use if it chooses."""
    cloud = infra.partition("/")[0].lower().strip("*")
    return frozenset({cloud} if cloud else enabled_clouds(sky))


@contextmanager
def only_keys_of(sky: Any, clouds: Collection[str], *, is_spot: bool) -> Generator[None]:
    """Within this context, an instance that is requested gets the keys of these clouds alone.

    It does not get this machine's AWS key even on AWS, where it ends itself with its role; an
    identity that the user chose stays. A spot instance is requested by SkyPilot's own process, so
    the home folder of a request does not reach it: `not_held_back` names what is copied.
    """
    settings = sky.skypilot_config
    kept = {
        cloud: {IDENTITY: KEPT_HERE}
        for cloud in BY_SETTING
        if (cloud not in clouds or cloud == AWS)
        and settings.get_nested((cloud, IDENTITY), None) is None
    }
    with ExitStack() as stack:
        stack.enter_context(settings.override_skypilot_config(kept))
        if not is_spot and sky.server.common.is_api_server_local():
            home = home_with_keys_of(Path.home(), clouds)
            places = {"HOME": str(home)}
            if OWN_CLUSTERS.isdisjoint(clouds):
                places["KUBECONFIG"] = str(home / ".kube" / "config")  # there is none
            stack.enter_context(_requested_with(sky, places))
        yield


def lying_there(home: Path, clouds: Collection[str]) -> list[str]:
    """The keys of these clouds that SkyPilot copies to the instance; on AWS it copies none."""
    own = [path for cloud in clouds if cloud != AWS for path in KEY_FILES.get(cloud, ())]
    return sorted(f"~/{path}" for path in own if (home / path).exists())


def not_held_back(home: Path, clouds: Collection[str], *, is_spot: bool) -> list[str]:
    """The keys of other clouds that SkyPilot copies to the instance all the same."""
    others = [
        path
        for cloud, paths in KEY_FILES.items()
        if cloud not in clouds and cloud not in BY_SETTING and (is_spot or cloud in FOUND_AT_START)
        for path in paths
    ]
    return sorted(f"~/{path}" for path in others if (home / path).exists())


def home_with_keys_of(home: Path, clouds: Collection[str]) -> Path:
    """A folder with links to all that is in the home folder, but the keys of other clouds.

    It stays, since SkyPilot remembers paths in it (`key_path`), and is brought up to date at each
    launch.
    """
    for name in (".sky", ".ssh"):  # SkyPilot would make them in the folder of links
        (home / name).mkdir(exist_ok=True, mode=0o700)
    others = (path for cloud, paths in KEY_FILES.items() if cloud not in clouds for path in paths)
    folder = home / HOMES / "-".join(sorted(clouds) or ["none"])
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    _link(home, folder, frozenset(Path(path) for path in (*others, *OF_STORES)))
    return folder


def _link(source: Path, target: Path, hidden: frozenset[Path], below: Path = Path()) -> None:
    """Makes the target hold links to the source's entries; a folder with something hidden in it
    becomes a folder of links."""
    wanted = {path.name: path for path in source.iterdir() if below / path.name not in hidden}
    for stale in target.iterdir():
        if stale.is_symlink() and stale.name not in wanted:
            stale.unlink(missing_ok=True)  # another launch may do the same now
    for name, path in wanted.items():
        here = target / name
        if any(below / name in each.parents for each in hidden) and path.is_dir():
            _make_folder(here)
            _link(path, here, hidden, below / name)
        else:
            with suppress(FileExistsError):
                here.symlink_to(path)


def _make_folder(path: Path) -> None:
    if path.is_symlink():
        path.unlink(missing_ok=True)
    path.mkdir(exist_ok=True, mode=0o700)


@contextmanager
def _requested_with(sky: Any, places: Mapping[str, str]) -> Generator[None]:
    """Within this context, SkyPilot's server works on a request with these variables."""
    payloads = sky.server.requests.payloads
    usual = payloads.request_body_env_vars
    payloads.request_body_env_vars = lambda: usual() | places
    try:
        yield
    finally:
        payloads.request_body_env_vars = usual
