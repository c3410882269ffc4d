"""What the plugin tells SkyPilot of pods whose state it does not know."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

QUERY = """
import json, sys
from sky.provision import runpod
from fintts_cli.infra.sky.pod_plugin import OutbidPods
from sky.server.plugins import ExtensionContext

words = ("RUNNING", "EXITED", "DEAD", "TERMINATED")
pods = [{"id": word, "name": f"mine-{word}-head", "desiredStatus": word} for word in words]
runpod.utils._sky_get_pods = lambda: pods
OutbidPods().install(ExtensionContext())

def status(word):
    found = runpod.instance.query_instances("mine", f"mine-{word}", {"any": "thing"})
    return [each.name for each, _ in found.values()]

print(json.dumps({word: status(word) for word in words}))
"""


def test_skypilot_takes_a_pod_that_was_outbid_for_one_to_replace(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", QUERY],
        env=os.environ | {"HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.splitlines()[-1]) == {
        "RUNNING": ["UP"],
        "EXITED": ["INIT"],
        "DEAD": ["INIT"],
        "TERMINATED": [],
    }
