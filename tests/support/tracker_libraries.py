"""The trackers' own libraries, each in an environment of its own, and what they recorded.

`tests/install_trackers.sh` installs them.
"""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

from fintts_inputs.trackers import Tracker

ENVIRONMENTS = Path(__file__).parents[2] / ".test-servers"
READERS = {
    Tracker.TRACKIO: """
import json, sys
from trackio.sqlite_storage import SQLiteStorage
[run] = SQLiteStorage.get_runs("fintts")
print(json.dumps([run, SQLiteStorage.get_run_config("fintts", run),
    [[row["step"], row] for row in SQLiteStorage.get_logs("fintts", run)]], default=str))
""",
    # A .wandb file is a log of LevelDB behind seven bytes: records in blocks of 32 KiB.
    Tracker.WANDB: """
import json, pathlib, struct, sys
from wandb.proto.wandb_internal_pb2 import Record
[path] = pathlib.Path(sys.argv[1]).rglob("*.wandb")
data, at, whole = path.read_bytes(), 7, b""
run, config, rows = None, {}, []
while at < len(data):
    if 32768 - at % 32768 < 7:
        at += 32768 - at % 32768
        continue
    _, size, kind = struct.unpack_from("<IHB", data, at)
    whole += data[at + 7 : at + 7 + size]
    at += 7 + size
    if kind in (2, 3):
        continue
    record, whole = Record.FromString(whole), b""
    if record.HasField("run"):
        run = record.run.display_name
        config |= {item.key: json.loads(item.value_json) for item in record.run.config.update}
    if record.HasField("history"):
        items = record.history.item
        row = {"/".join(i.nested_key) or i.key: json.loads(i.value_json) for i in items}
        rows.append([row["_step"], row])
print(json.dumps([run, config, rows]))
""",
}


def python_of(tracker: Tracker) -> Path:
    """The Python that has the library; skips the test where there is none."""
    python = ENVIRONMENTS / tracker / "bin" / "python"
    if not python.exists() and not os.environ.get("CI"):
        pytest.skip(f"{tracker} is not installed; make servers installs it")
    return python


def recorded(
    tracker: Tracker, folder: Path
) -> tuple[str, dict[str, object], list[tuple[int, dict[str, float]]]]:
    """The name, the configuration and the rows (step, values) of the only run in the folder, as
    the library itself reads them."""
    done = subprocess.run(
        [python_of(tracker), "-c", READERS[tracker], str(folder)],
        env={"PATH": os.environ["PATH"], "HOME": str(folder), "TRACKIO_DIR": str(folder)},
        capture_output=True,
        text=True,
        check=True,
    )
    name, config, rows = json.loads(done.stdout.splitlines()[-1])
    return name, config, [(step, values) for step, values in rows]
