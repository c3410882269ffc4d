"""A folder of SkyPilot's with price lists, asked in a process of its own: SkyPilot reads the
folder's place once, when it is imported."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

from cli_project import FINTTS

if TYPE_CHECKING:
    from pathlib import Path

ASK = """
import contextlib, json, os, sys
with contextlib.redirect_stdout(sys.stderr):  # which sky's loggers keep for ever
    from sky import global_user_state
    from sky.clouds.cloud import CloudCapability
from fintts_cli.infra.sky.prices.catalog import SkyCatalog
from fintts_cli.prices.market import CatalogMissing
from fintts_cost.prices.offers import offers_of

def answer(step):
    if "enable" in step:
        global_user_state.set_enabled_clouds(step["enable"], CloudCapability.COMPUTE, "default")
    if "touch" in step:
        os.utime(step["touch"], (step["at"], step["at"]))
    try:
        rows, note = SkyCatalog().prices(step["gpu"], None)
    except CatalogMissing as missing:
        return {"missing": str(missing)}
    return {"note": note, "offers": [offer._asdict() for offer in offers_of(rows)]}

answers = [answer(step) for step in json.loads(sys.argv[1])]
print(json.dumps(answers, default=str))
"""


class SkyPilot:
    """A folder of SkyPilot's with catalogs, and the clouds that `sky check` would have found."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "home").mkdir(parents=True)

    @property
    def environment(self) -> dict[str, str]:
        """Without a way out: what is not on disk cannot be fetched."""
        kept = {key: value for key, value in os.environ.items() if not key.startswith("AWS_")}
        nowhere = {name: "http://127.0.0.1:9" for name in ("HTTPS_PROXY", "https_proxy")}
        places = {"HOME": str(self.folder / "home"), "SKY_RUNTIME_DIR": str(self.folder)}
        return kept | nowhere | places

    def catalog(self, cloud: str, name: str = "vms.csv") -> Path:
        """Where a cloud's prices lie."""
        return self.folder / ".sky" / "catalogs" / "v8" / cloud / name

    def write(self, cloud: str, text: str, name: str = "vms.csv") -> None:
        """Without a checksum that is right beside it such a file is never fetched again."""
        path = self.catalog(cloud, name)
        path.parent.mkdir(parents=True)
        path.write_text(text)

    def ask(self, *steps: dict[str, object]) -> list[dict[str, Any]]:
        """What our adapter says of each step's `gpu`, all in one process, since sky loads slowly.

        `enable` says before which clouds `sky check` is content with; `touch` sets a file's time.
        """
        done = subprocess.run(
            [sys.executable, "-c", ASK, json.dumps(steps)],
            check=True,
            capture_output=True,
            text=True,
            env=self.environment,
        )
        answers: list[dict[str, Any]] = json.loads(done.stdout)
        return answers

    def fintts(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Runs to its end in the current folder."""
        return subprocess.run(
            [FINTTS, *arguments], check=False, capture_output=True, text=True, env=self.environment
        )
