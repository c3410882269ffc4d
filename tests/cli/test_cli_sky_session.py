"""SkyPilot's SDK, loaded once however often it is asked."""

from __future__ import annotations

import gc
from pathlib import Path

from fintts_cli.infra.sky_session import sky_session


def test_looking_again_and_again_keeps_no_garbage(tmp_path: Path) -> None:
    with sky_session(tmp_path / "log") as sky:
        assert callable(sky.status)
    known = gc.get_freeze_count()
    made = [[number] for number in range(1000)]
    with sky_session(tmp_path / "log") as again:
        assert again is sky
    assert gc.get_freeze_count() < known + len(made)
