"""SkyPilot's records name its SSH key by the path that any request expects."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

PROGRAM = r"""
import json, sys
from pathlib import Path
from types import SimpleNamespace

import sky
from sky import global_user_state as state
from sky.utils import auth_utils
from sqlalchemy import orm

from fintts_cli.infra.sky.key_path import HOMES, use_ordinary_key_paths

home = Path.home()
(home / HOMES).mkdir(parents=True)
KEY = ".sky/clients/aaaabbbb/ssh/sky-key"
paths = {
    "fintts-v1": f"{home}/{HOMES}/runpod/{KEY}",
    "fintts-v2": f"{home}/{HOMES}/lambda-runpod/{KEY}",
    "fintts-new": f"{home}/{HOMES}/runpod/{KEY}",
    "fintts-own": f"{home}/{KEY}",
    "another": f"{home}/{HOMES}/runpod/{KEY}",
}
with orm.Session(state._db_manager.get_engine()) as session:
    for name in paths:
        session.execute(state.cluster_table.insert().values(name=name, handle=b"", status="UP"))
    session.commit()
for name, path in paths.items():
    state.set_cluster_yaml(name, f"auth:\n  ssh_user: ubuntu\n  ssh_private_key: {path}\n")
launching = SimpleNamespace(name="sky.launch", cluster_name="fintts-new", request_body="")
use_ordinary_key_paths(
    SimpleNamespace(
        server=SimpleNamespace(common=SimpleNamespace(is_api_server_local=lambda: True)),
        global_user_state=state,
        api_status=lambda cluster_name: [launching],
    )
)
found = {}
for name in paths:
    key = state.get_cluster_yaml_dict(f"{name}.yml")["auth"]["ssh_private_key"]
    try:
        auth_utils.create_ssh_key_files_from_db(key)
        found[name] = "taken"
    except AssertionError:
        found[name] = "refused"
print(json.dumps(found))
"""


def test_skypilot_takes_the_key_of_each_cluster_but_one_that_is_being_launched(
    tmp_path: Path,
) -> None:
    answer = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        env=os.environ | {"HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert answer.returncode == 0, answer.stderr
    assert json.loads(answer.stdout.splitlines()[-1]) == {
        "fintts-v1": "taken",
        "fintts-v2": "taken",
        "fintts-new": "refused",
        "fintts-own": "taken",
        "another": "refused",
    }
