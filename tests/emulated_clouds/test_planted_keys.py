"""Where the keys of nine clouds and a Hugging Face token lie once an instance trains."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from a_laptop import ENDLESS, Laptop
from planted import in_store, on_instance, outside
from rig.clouds import EmulatedClouds, write_files
from rig.doors import lambda_cloud, runpod, verda
from rig.laptop import write_key

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
    "verda": verda.CLIENT_SECRET,
    "huggingface": "hf_plantedplantedplanted",
}
"""by whose they are"""
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
ON_ITS_WAY = r"/(root|home/ubuntu)/\.sky/\.runtime_files/[0-9a-f-]+"
"""where SkyPilot puts a key before it moves it"""


class Offer(NamedTuple):
    """What is rented, and where the key of its cloud lies on it, as the table in docs/renting.md
    has it."""

    cloud: str
    gpus: str
    key_files: tuple[str, ...] = ()
    options: tuple[str, ...] = ()


OFFERS = {
    "verda": Offer("verda", "A100-80GB:1", ("/root/.verda/config.json", r".*/home/\.verda/.*")),
    "lambda": Offer("lambda", "H100:1", ("/home/ubuntu/.lambda_cloud/lambda_keys",)),
    "runpod": Offer("runpod", "A100-80GB:1"),
    "runpod-spot": Offer("runpod", "A100-80GB:1", options=("--spot", "--hourly-rate", "1.39")),
}


@pytest.fixture
def clouds(rentable_clouds: EmulatedClouds) -> Iterator[EmulatedClouds]:
    """The laptop has all keys."""
    write_files(rentable_clouds.aws.home, PLANTED)
    write_key(rentable_clouds.aws.home, SECRETS["aws"])
    yield rentable_clouds
    for path in PLANTED:
        (rentable_clouds.aws.home / path).unlink()
    for seller in rentable_clouds.sellers:
        seller.remove_all()


@pytest.mark.parametrize("name", OFFERS)
def test_each_secret_lies_only_where_the_table_says(
    clouds: EmulatedClouds, tmp_path: Path, name: str
) -> None:
    offer = OFFERS[name]
    laptop = Laptop(clouds.aws, tmp_path / "project", f"planted-{name}", on_aws=True)
    laptop.configure(infra=offer.cloud, gpus=offer.gpus)
    laptop.launch("planted", *offer.options, **ENDLESS)
    laptop.await_commit("planted")
    [instance] = clouds.seller(offer.cloud).billed()
    found = {whose: on_instance(clouds.aws, instance, secret) for whose, secret in SECRETS.items()}
    own = found.pop(offer.cloud)
    assert {whose: places for whose, places in found.items() if places} == {}
    assert outside(own, (ON_ITS_WAY, *offer.key_files)) == []
    assert bool(own) == bool(offer.key_files)
    in_bucket = [in_store(clouds.aws, laptop.bucket, secret) for secret in SECRETS.values()]
    assert set().union(*in_bucket) == set()
    down = laptop.fintts("cloud", "down", "planted")
    assert down.returncode == 0, down.stderr
