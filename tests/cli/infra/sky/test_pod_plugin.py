"""What the plugin tells SkyPilot of pods whose state it does not know."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

QUERY = """
import json, sys
from sky.provision import runpod
from fintts_cli.infra.sky.server.pod_plugin import Pods
from sky.server.plugins import ExtensionContext

words = ("RUNNING", "EXITED", "DEAD", "TERMINATED")
pods = [{"id": word, "name": f"mine-{word}-head", "desiredStatus": word} for word in words]
runpod.utils._sky_get_pods = lambda: pods
Pods().install(ExtensionContext())

def status(word):
    found = runpod.instance.query_instances("mine", f"mine-{word}", {"any": "thing"})
    return [each.name for each, _ in found.values()]

runpod.utils.runpod.runpod.get_gpu = lambda name: {"memoryInGb": 80}
orders = []
def ordered(mutation, api_key=None):
    orders.append(mutation)
    return {"data": {"podFindAndDeployOnDemand": {"id": "p"}, "gpuTypes": [{"id": "g"}]}}

import runpod as library
library.api.ctl_commands.run_graphql_query = ordered
for name in ("fintts-mine-x67430f00-aaaabbbb", "fintts-mine-x67430f00-aaaabbbb", "others"):
    runpod.utils.launch(
        name, "head", "1x_A100-80GB_SECURE", "CA", "CA-MTL-1", 50, "an/image", None, "key", False,
        1.39, None,
    )
said = [order for order in orders if "podFindAndDeploy" in order]
print(json.dumps([{word: status(word) for word in words}, said]))
"""


@pytest.fixture(scope="module")
def said(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, list[str]], list[str]]:
    """What SkyPilot makes of RunPod's words, and the orders that it makes."""
    done = subprocess.run(
        [sys.executable, "-c", QUERY],
        env=os.environ | {"HOME": str(tmp_path_factory.mktemp("home"))},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    words, orders = json.loads(done.stdout.splitlines()[-1])
    return words, orders


def test_skypilot_takes_a_pod_that_was_outbid_for_one_to_replace(
    said: tuple[dict[str, list[str]], list[str]],
) -> None:
    assert said[0] == {
        "RUNNING": ["UP"],
        "EXITED": ["INIT"],
        "DEAD": ["INIT"],
        "TERMINATED": [],
    }


def test_runpod_is_told_when_to_end_a_pod_of_ours(
    said: tuple[dict[str, list[str]], list[str]],
) -> None:
    first, again, other = said[1]
    for order in (first, again):
        assert order.count('terminateAfter: "2024-11-24T11:48:20Z"') == 1
        assert 'name: "fintts-mine-x67430f00-aaaabbbb-head"' in order
    assert "terminateAfter" not in other
