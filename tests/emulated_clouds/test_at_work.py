"""Runs at work on Verda, where instances have no labels, and SkyPilot forgets what is shut down."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from a_laptop import ENDLESS, Laptop
from planted import in_store, on_instance, outside
from rig.clouds import EmulatedClouds, write_files
from rig.doors import lambda_cloud, runpod, verda
from rig.laptop import write_key
from rig.seller import Seller

pytestmark = [pytest.mark.cloud, pytest.mark.by_hand, pytest.mark.timeout(1200)]

SECRETS = {
    "aws": "planted-aws-secret-key",
    "gcp": "planted-gcp-refresh-token",
    "azure": "planted-azure-token",
    "nebius": "planted-nebius-token",
    "vast": "planted-vast-api-key",
    "oci": "planted-oci-private-key",
    "runpod": runpod.KEY,
    "lambda": lambda_cloud.KEY,
    "huggingface": "hf_plantedplantedplanted",
}
"""by whose they are: none of them may lie on an instance of Verda's"""
GOOGLE = {"type": "authorized_user", "client_id": "x", "client_secret": "y"}
PLANTED = {
    ".config/gcloud/application_default_credentials.json": json.dumps(
        GOOGLE | {"refresh_token": SECRETS["gcp"]}
    ),
    ".config/gcloud/credentials.db": SECRETS["gcp"],
    ".config/gcloud/access_tokens.db": SECRETS["gcp"],
    ".azure/msal_token_cache.json": json.dumps({"RefreshToken": SECRETS["azure"]}),
    ".azure/azureProfile.json": json.dumps({"subscriptions": [], "planted": SECRETS["azure"]}),
    ".nebius/credentials.json": json.dumps({"planted": SECRETS["nebius"]}),
    ".config/vastai/vast_api_key": SECRETS["vast"],
    ".oci/config": "[DEFAULT]\nuser=x\nkey_file=~/.oci/key.pem\n",
    ".oci/key.pem": SECRETS["oci"],
    ".cache/huggingface/token": SECRETS["huggingface"],
}
"""what other tools leave below HOME"""
VERDA_KEY = "/root/.verda/config.json"
COPIES = r"/root/\.sky/\.runtime_files/[0-9a-f-]+|{home}/\.verda/config\.json"
"""where SkyPilot puts it besides: on its way, and under the path of the laptop's HOME"""


@dataclass(frozen=True)
class AtWork:
    """The runs `v1` and `v10`, which nothing but their deadlines end."""

    clouds: EmulatedClouds
    seller: Seller
    laptop: Laptop

    def instance_of(self, run: str) -> str:
        """Of the one that is billed."""
        [instance] = [one for one in self.seller.of_run(run) if one.is_billed]
        return instance.id


@pytest.fixture(scope="module")
def at_work(
    rentable_clouds: EmulatedClouds, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[AtWork]:
    clouds = rentable_clouds
    write_files(clouds.aws.home, PLANTED)
    write_key(clouds.aws.home, SECRETS["aws"])
    folder = tmp_path_factory.mktemp("verda") / "project"
    laptop = Laptop(clouds.aws, folder, "at-work-verda", on_aws=True)
    laptop.configure(infra="verda", gpus="A100-80GB:1")
    for run in ("v1", "v10"):
        laptop.launch(run, **ENDLESS)
    yield AtWork(clouds, clouds.verda, laptop)
    for path in PLANTED:
        (clouds.aws.home / path).unlink()


def test_nobody_elses_secret_lies_on_the_instance(at_work: AtWork) -> None:
    cloud, instance = at_work.clouds.aws, at_work.instance_of("v1")
    found = {whose: on_instance(cloud, instance, secret) for whose, secret in SECRETS.items()}
    assert {whose: places for whose, places in found.items() if places} == {}
    in_bucket = [in_store(cloud, at_work.laptop.bucket, secret) for secret in SECRETS.values()]
    assert set().union(*in_bucket) == set()


def test_its_own_clouds_key_lies_there(at_work: AtWork) -> None:
    cloud, instance = at_work.clouds.aws, at_work.instance_of("v1")
    found = on_instance(cloud, instance, verda.CLIENT_SECRET)
    assert VERDA_KEY in found
    assert outside(found, (VERDA_KEY, COPIES.format(home=cloud.home))) == []
    assert in_store(cloud, at_work.laptop.bucket, verda.CLIENT_SECRET) == set()


def test_reap_leaves_alone_what_will_end_itself(at_work: AtWork) -> None:
    reaped = at_work.laptop.fintts("cloud", "reap", "--yes", "--quiet")
    assert (reaped.returncode, reaped.stdout, reaped.stderr) == (0, "", "")
    assert len(at_work.seller.billed()) == 2


def test_down_takes_v1_and_not_v10(at_work: AtWork) -> None:
    down = at_work.laptop.fintts("cloud", "down", "v1")
    assert down.returncode == 0, down.stderr
    assert at_work.seller.billed() == [at_work.instance_of("v10")]
    assert at_work.laptop.view("v1")["instance_is_live"] is False
    assert at_work.laptop.view("v10")["instance_is_live"] is True


def test_what_is_shut_down_is_told_and_removed(at_work: AtWork) -> None:
    seller, laptop = at_work.seller, at_work.laptop
    instance = at_work.instance_of("v10")
    seller.set_status(instance, "offline")
    shown = laptop.fintts("cloud", "ps")
    assert "offline" in shown.stdout + shown.stderr
    with seller.with_faults(keeps=[instance]):
        kept = laptop.fintts("cloud", "down", "v10")
        assert kept.returncode == 4, kept.stderr
        assert "Traceback" not in kept.stderr
        assert seller.billed() == [instance]
        reaped = laptop.fintts("cloud", "reap", "--yes")
        assert instance in reaped.stdout + reaped.stderr or "v10" in reaped.stdout + reaped.stderr
    down = laptop.fintts("cloud", "down", "v10")
    assert down.returncode == 0, down.stderr
    assert seller.billed() == []
    assert laptop.view("v10")["instance_is_live"] is False
