"""SkyPilot's SDK, loaded once however often it is asked."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

LOOKS = """\
import gc, sys
from pathlib import Path
from fintts_cli.infra.sky_session import sky_session
log = Path(sys.argv[1])
with sky_session(log) as sky:
    assert callable(sky.status)
known = gc.get_freeze_count()
made = [[number] for number in range(1000)]
with sky_session(log) as again:
    assert again is sky
assert gc.get_freeze_count() < known + len(made)
"""


def test_looking_again_and_again_keeps_no_garbage(tmp_path: Path) -> None:
    command = [sys.executable, "-c", LOOKS, str(tmp_path / "log")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
