"""The sellers beside AWS, and a laptop that has an account at each."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from rig.cloud import EmulatedAws
from rig.doors import lambda_cloud, runpod, verda
from rig.seller import Seller


class EmulatedClouds:
    """Within the block the laptop has a key of each of them, beside AWS's."""

    def __init__(self, aws: EmulatedAws) -> None:
        self.aws = aws
        self._is_checked = False
        self.verda, self.runpod, self.lambda_cloud = map(Seller, ("verda", "runpod", "lambda"))
        self.sellers = (self.verda, self.runpod, self.lambda_cloud)

    def __enter__(self) -> EmulatedClouds:
        write_files(self.aws.home, KEYS)
        return self

    def __exit__(self, *_: object) -> None:
        for seller in self.sellers:
            seller.remove_all()
        for path in KEYS:
            (self.aws.home / path).unlink(missing_ok=True)
        if self._is_checked:
            self.check()

    def check(self) -> None:
        """From now on SkyPilot may rent at those whose keys are there; its server is off, since one
        that `fintts` did not start copies more to an instance."""
        self.aws.check("aws", *(seller.name for seller in self.sellers))
        self.aws.shut_laptop()
        self._is_checked = True

    def seller(self, name: str) -> Seller:
        """By its name in SkyPilot."""
        [seller] = [one for one in self.sellers if one.name == name]
        return seller

    @contextmanager
    def with_wrong_keys(self) -> Iterator[None]:
        """Within the block nobody who logs in is let in."""
        write_files(self.aws.home, keys("wrong", "wrong", "wrong"))
        yield
        write_files(self.aws.home, KEYS)


def keys(verda_secret: str, runpod_key: str, lambda_key: str) -> dict[str, str]:
    """What a user writes to log in, as paths below HOME."""
    verda_account = {"client_id": verda.CLIENT_ID, "client_secret": verda_secret}
    return {
        ".verda/config.json": json.dumps(verda_account),
        ".runpod/config.toml": f'[default]\napi_key = "{runpod_key}"\n',
        ".lambda_cloud/lambda_keys": f"api_key = {lambda_key}\n",
    }


KEYS = keys(verda.CLIENT_SECRET, runpod.KEY, lambda_cloud.KEY)
"""the only ones that the sellers take"""


def write_files(home: Path, files: Mapping[str, str]) -> None:
    """As paths below HOME."""
    for path, text in files.items():
        (home / path).parent.mkdir(parents=True, exist_ok=True)
        (home / path).write_text(text)
