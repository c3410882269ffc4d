"""A real trainer with a run's own key: it asks for nothing else, and ends when the key does."""

from __future__ import annotations

import secrets
import subprocess
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from subprocess import Popen
from typing import Any

from fault_proxy import Fault, FaultProxy, fault_proxy
from fintts_store.backends.s3.addresses.address import S3Address
from fintts_store.backends.s3.credentials.grant import run_policy
from fintts_store.backends.s3.s3 import S3Store
from fintts_store.checkpoints.listing import list_manifests
from fintts_store.checkpoints.restore import restore
from fintts_store.runs.runs import read_result, read_run
from policies import allows, what_is_asked
from s3_servers import make_bucket
from tiny_run import TinyRun, start_run

OFTEN: dict[str, dict[str, Any]] = {
    "training": {"max_steps": 12, "learning_rate": 1e-3, "warmup_steps": 2},
    "validation": {"every": 4, "fraction": 0.2},
    "checkpoints": {"every": 1, "keep_last": 2},
}
ENDLESS = {
    **OFTEN,
    "training": {**OFTEN["training"], "max_steps": 100_000},
    "early_stopping": {"enabled": False},
}


def in_bucket(run: TinyRun, endpoint_url: str) -> S3Address:
    """What `fintts cloud launch` leaves in a bucket of its own."""
    address = make_bucket(endpoint_url, f"b{secrets.token_hex(8)}")
    store = S3Store(address)
    for entry in run.store.list(""):
        store.put(entry.key, b"".join(run.store.stream(entry.key)))
    return address


def begin(run: TinyRun, address: S3Address, proxy: FaultProxy, workspace: str) -> Popen[str]:
    """The trainer's process; its log is to be read from standard error."""
    url = replace(address, endpoint_url=proxy.url).url
    own = {"FINTTS_STORE": url, "AWS_SESSION_TOKEN": "of-this-run-alone"}
    own["FINTTS_ASKED_AT"] = datetime.now(UTC).isoformat()  # it is rented
    environment = run.environment(workspace) | own
    return Popen(run.command("run"), env=environment, stderr=subprocess.PIPE, text=True)


def read_until(process: Popen[str], sentence: str) -> None:
    assert process.stderr is not None
    assert any(sentence in line for line in process.stderr), f"it never said {sentence!r}"


def test_all_that_a_run_and_its_second_life_ask_for_is_allowed(
    moto_endpoint: str, tmp_path: Path
) -> None:
    run = start_run(tmp_path / "run", OFTEN)
    address = in_bucket(run, moto_endpoint)
    with fault_proxy(moto_endpoint) as proxy:
        with begin(run, address, proxy, "first") as process:
            read_until(process, "step 3: checkpoint committed")
            process.kill()
        with begin(run, address, proxy, "second") as process:
            read_until(process, "resumed at step")
            read_until(process, "ended at step 12")
        assert process.returncode == 0
        asked = {what_is_asked(*one.split(" ", 1)) for one in proxy.requests}
    record = read_run(S3Store(address), run.name)
    policy = run_policy(address, run.name, [record.packed.key, record.base_model.prefix])
    assert [one for one in asked if not allows(policy, *one)] == []
    assert {"s3:PutObject", "s3:DeleteObject", "s3:ListBucket"} < {action for action, *_ in asked}
    other = run_policy(address, "other", [])
    opened = {one[0] for one in asked if allows(other, *one)}
    assert opened <= {"s3:ListBucketMultipartUploads"}, "S3 knows that one of whole buckets alone"


def test_a_key_that_ends_ends_the_trainer_and_not_what_was_committed(
    moto_endpoint: str, tmp_path: Path
) -> None:
    run = start_run(tmp_path / "run", ENDLESS)
    address = in_bucket(run, moto_endpoint)
    store = S3Store(address)
    with fault_proxy(moto_endpoint) as proxy:
        with begin(run, address, proxy, "workspace") as process:
            read_until(process, "step 3: checkpoint committed")
            for method in ("GET", "PUT", "DELETE", "POST", "HEAD"):
                proxy.faults.append(Fault("answer", method, "", 10**9, 400, "ExpiredToken"))
            assert process.stderr is not None
            said = process.stderr.read()
        assert process.returncode == 5
    assert "error: the credentials for" in said
    assert "have expired" in said
    assert "Traceback" not in said
    assert read_result(store, run.name) is None, "it goes on when it is launched again"
    newest = list_manifests(store, run.name)[-1]
    restore(store, newest, tmp_path / "back")
    # What it could not bring to the store is still where it trained.
    assert list((run.folder / "workspace" / "checkpoints").glob("checkpoint-*"))
