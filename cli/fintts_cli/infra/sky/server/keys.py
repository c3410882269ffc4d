"""Which of your keys SkyPilot copies to an instance, and how the others stay on this machine.

Settings of SkyPilot hold back the keys of some clouds. A plugin of its server (`key_plugin`) holds
back those of all others; a server that another program started does not have it (`server`).
"""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fintts_cli.infra.sky.aws import AWS
from fintts_cli.infra.sky.ending.ending import ending_of

if TYPE_CHECKING:
    from collections.abc import Collection, Generator, Iterable, Mapping

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
OF_STORES = (
    ".cloudflare",
    ".coreweave",
    ".vastdata",
    ".huggingface/token",
    ".cache/huggingface/token",
)
"""keys of stores and of Hugging Face, which no instance needs: it gets the store's as a secret"""
IDENTITY, NO_UPLOAD = "remote_identity", "NO_UPLOAD"
BY_SETTING = ("aws", "azure", "gcp", "kubernetes", "nebius", "oci", "ssh", "vast")
"""clouds for which SkyPilot's settings take `remote_identity: NO_UPLOAD`"""


@contextmanager
def held_back_by_setting(sky: Any, clouds: Collection[str]) -> Generator[None]:
    """Within this context, an instance that is requested gets no key of another cloud whose keys
    a setting holds back.

    It does not get this machine's AWS key even on AWS, where it ends itself with its role; an
    identity that the user chose stays.
    """
    settings = sky.skypilot_config
    held = {
        cloud: {IDENTITY: NO_UPLOAD}
        for cloud in BY_SETTING
        if (cloud not in clouds or cloud == AWS)
        and settings.get_nested((cloud, IDENTITY), None) is None
    }
    with settings.override_skypilot_config(held):
        yield


def stays_here(cloud: str) -> bool:
    """Whether the plugin holds back the cloud's key also from the cloud's own instances."""
    return cloud not in BY_SETTING and not ending_of(cloud).needs_account_key


def is_key_of_another(path: Path, cloud: str) -> bool:
    """Whether the file is the key of another cloud, as SkyPilot's list for Nebius holds that of
    AWS."""
    others = (each for name, paths in KEY_FILES.items() if name != cloud for each in paths)
    return any(path.is_relative_to(Path.home() / each) for each in others)


def lying_there(home: Path, clouds: Collection[str]) -> list[str]:
    """The keys of these clouds that lie on their instances."""
    needed = (cloud for cloud in clouds if ending_of(cloud).needs_account_key)
    return _existing(home, (path for cloud in needed for path in _files(cloud)))


def held_back_by_plugin(home: Path, clouds: Collection[str]) -> list[str]:
    """The keys that a server without the plugin would copy to an instance on these clouds, beside
    the one that belongs there."""
    others = (
        path
        for cloud in KEY_FILES
        if cloud not in BY_SETTING and (cloud not in clouds or stays_here(cloud))
        for path in _files(cloud)
    )
    return _existing(home, (*others, *OF_STORES))


def _files(cloud: str) -> tuple[str, ...]:
    return KEY_FILES.get(cloud, ())


def _existing(home: Path, paths: Iterable[str]) -> list[str]:
    return sorted(f"~/{path}" for path in paths if (home / path).exists())
