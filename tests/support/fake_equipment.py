"""The tools of a command in a test: this machine's own infra, and SkyPilot replaced by a fake."""

from __future__ import annotations

from pathlib import Path

from fake_sky import FakeSky
from fintts_cli.infra import Infra
from fintts_cli.infra.local.local import LocalInfra
from fintts_cli.infra.sky.sky import SkyInfra
from fintts_cli.places import LOCAL
from fintts_cli.workplace.equipment import Equipment


def equipment_with(sky: FakeSky) -> Equipment:
    """SkyPilot is `sky`, and `reap` looks again at once."""

    def open_infra(state: Path, name: str) -> Infra:
        return LocalInfra(state) if name == LOCAL else SkyInfra(name, state, sky.session)

    return Equipment(open_infra=open_infra, second_look_seconds=0.0)
