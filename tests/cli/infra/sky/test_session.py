"""SkyPilot's SDK, loaded once however often it is asked."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

from fintts_cli.errors import CloudError
from fintts_cli.infra.sky.server import session
from fintts_cli.infra.sky.sky import SkyInfra

LOOKS = """\
import gc, sys
from pathlib import Path
from fintts_cli.infra.sky.server.session import sky_session
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


def test_a_home_that_skypilot_cannot_write_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def import_sky() -> None:
        raise OSError(errno.EROFS, "Read-only file system", "/home/me/.sky")

    monkeypatch.setattr(session, "import_sky", import_sky)
    with (
        pytest.raises(CloudError, match=r"cannot be loaded: /home/me/.sky: Read-only") as refused,
        session.sky_session(tmp_path / "sky.log"),
    ):
        pass
    assert "HOME" in refused.value.hint


@pytest.mark.parametrize("url", ["nonsense", " ", "http://[::1", "http://me:pass", "ftp://host"])
def test_a_server_of_skypilot_s_that_is_none_is_named_and_no_list_is_whole(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SKYPILOT_API_SERVER_ENDPOINT", url)
    census = SkyInfra("", tmp_path).census()
    assert census.unanswered == ("SKYPILOT_API_SERVER_ENDPOINT is not the URL of a server",)


def test_the_real_skypilot_says_that_its_server_is_out_of_reach(own_folder: Path) -> None:
    """By its SDK and a port that nobody listens on."""
    program = (
        "from pathlib import Path\n"
        "from fintts_cli.infra.sky.sky import SkyInfra\n"
        "census = SkyInfra('', Path('state')).census()\n"
        "assert census.sightings == ()\n"
        "print(*census.unanswered)\n"
    )
    done = subprocess.run(
        [sys.executable, "-P", "-c", program],
        env=os.environ | {"SKYPILOT_API_SERVER_ENDPOINT": "http://me:pass@127.0.0.1:1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    said = "Could not connect to SkyPilot API server at http://…@127.0.0.1:1"
    assert done.stdout == f"SkyPilot's server cannot be asked: {said}\n"
