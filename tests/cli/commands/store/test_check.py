"""`fintts store check`: its lines, its document, its exit code, and that it leaves no trace."""

from __future__ import annotations

import json
import os
import secrets
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import boto3
import pytest
from typer.testing import Result

from command_line import invoke
from fault_proxy import Fault, fault_proxy
from fintts_store import layout
from fintts_store.backends.directory import DirectoryStore
from fintts_store.backends.s3.s3 import S3Store
from fintts_store.checkpoints.commit import CheckpointFacts, Committer
from fintts_store.checkpoints.manifest import Manifest
from fintts_store.runs.claims import take_claim
from fintts_store.runs.run_record import FileRef
from fintts_store.runs.runs import create_run
from fintts_store.store import Store
from run_samples import DATA, DIGEST, record
from s3_servers import make_bucket

FINTTS = str(Path(sys.executable).parent / "fintts")
RUN = "kalevala-1"
MODEL, MODEL_KEY = b"weights", f"{layout.base_model_prefix(DIGEST)}model.pth"
NOBODY = 65534


def check(*arguments: str) -> Result:
    return invoke(["store", "check", *arguments])


def commit(store: Store, folder: Path, step: int) -> Manifest:
    target = folder / f"saved-{step}"
    target.mkdir()
    (target / "adapter_model.safetensors").write_bytes(bytes([step % 251]) * 1000)
    facts = CheckpointFacts(step, "c", DIGEST, "val/loss", "min", None)
    return Committer(store, RUN, 1, keep_last=5, keep_best=True).commit(target, facts)


def fill(store: Store, folder: Path) -> list[Manifest]:
    model = FileRef(name="model.pth", size_bytes=len(MODEL), sha256=sha256(MODEL).hexdigest())
    base = record().base_model.model_copy(update={"files": (model,)})
    one = record(run=RUN, base_model=base)
    store.put(one.packed.key, DATA)
    store.put(MODEL_KEY, MODEL)
    create_run(store, one)
    take_claim(store, RUN, "test")
    return [commit(store, folder, step) for step in (100, 200, 300)]


def adapter(manifest: Manifest) -> str:
    return layout.checkpoint_prefix(RUN, manifest.name) + "adapter_model.safetensors"


@pytest.fixture
def store(own_folder: Path, tmp_path: Path) -> DirectoryStore:
    return DirectoryStore(own_folder / "store")


def test_a_sound_store_passes(store: DirectoryStore, tmp_path: Path) -> None:
    fill(store, tmp_path)
    before = sorted(store.root.rglob("*"))
    for options in ([], ["--read-data"]):
        passed = check("store", "--json", *options)
        assert passed.exit_code == 0, passed.output
        document = json.loads(passed.stdout)
        assert document["ok"] is True
        assert document["read_data"] is bool(options)
        assert document["runs"] == [
            {"run": RUN, "checkpoints": 3, "bytes": 3000, "kept_steps": [100, 200, 300]}
        ]
        data = record().packed.key
        assert document["inputs"] == [
            {"place": f"base_models/{DIGEST}/", "bytes": 7, "runs": [RUN]},
            {"place": data, "bytes": 9, "runs": [RUN]},
        ]
        assert (document["faults"], sorted(store.root.rglob("*"))) == ([], before)


def test_every_finding_is_one_line(
    store: DirectoryStore, tmp_path: Path, golden: Callable[[str, str], None]
) -> None:
    damaged, flipped, _ = fill(store, tmp_path)
    store.delete(adapter(damaged))
    store.put(adapter(flipped), b"\0" * 1000)
    store.put(f"{layout.checkpoints_prefix(RUN)}000001-000000400-0123abcd/adapter", b"x" * 1234)
    take_claim(store, RUN, "the next")
    store.put(MODEL_KEY, b"WEIGHTS")
    store.put(f"adapters/{DIGEST}/adapter_config.json", b"{}")
    refused = check("store", "--read-data")
    assert refused.exit_code == 5
    assert "3 faults found in its contents" in refused.stderr
    assert "Traceback" not in refused.stderr
    golden("store_check.txt", refused.stdout.replace(str(store.root), "/somewhere/store"))
    document = json.loads(check("store", "--read-data", "--json").stdout)
    golden("store_check.json", json.dumps({**document, "store": "/somewhere/store"}, indent=2))


def test_without_reading_the_data_a_flipped_bit_is_not_seen(
    store: DirectoryStore, tmp_path: Path
) -> None:
    flipped, *_ = fill(store, tmp_path)
    store.put(adapter(flipped), b"\0" * 1000)
    assert check("store").exit_code == 0
    refused = check("store", "--read-data", "--json")
    assert refused.exit_code == 5
    assert json.loads(refused.stdout)["runs"][0]["kept_steps"] == [200, 300]
    assert json.loads(refused.stderr.splitlines()[-1])["exit_code"] == 5


def test_what_a_run_reads_counts_as_a_checkpoint_does(
    store: DirectoryStore, tmp_path: Path
) -> None:
    fill(store, tmp_path)
    store.put(MODEL_KEY, b"WEIGHTS")
    assert check("store").exit_code == 0
    refused = check("store", "--read-data", "--json")
    assert refused.exit_code == 5
    document = json.loads(refused.stdout)
    assert [one["place"] for one in document["inputs"]] == [record().packed.key]
    assert [(one["kind"], one["place"]) for one in document["faults"]] == [("input", MODEL_KEY)]
    store.delete(MODEL_KEY)
    refused = check("store", "--json")
    assert refused.exit_code == 5
    (fault,) = json.loads(refused.stdout)["faults"]
    assert (fault["kind"], fault["run"], fault["harmless"]) == ("input", RUN, False)


def test_what_only_costs_is_named_and_is_no_failure(store: DirectoryStore, tmp_path: Path) -> None:
    fill(store, tmp_path)
    store.put(f"{layout.checkpoints_prefix(RUN)}000001-000000400-0123abcd/adapter", b"x")
    take_claim(store, RUN, "the next")
    store.put("datasets/of-nobody.safetensors", b"x")
    passed = check("store", "--json")
    assert passed.exit_code == 0
    faults = json.loads(passed.stdout)["faults"]
    assert [(fault["kind"], fault["harmless"]) for fault in faults] == [
        ("unused", True),
        ("orphan", True),
    ]


def test_the_configured_store_is_meant_without_one(store: DirectoryStore, own_folder: Path) -> None:
    (own_folder / "fintts.yaml").write_text("store: store\n")
    assert json.loads(check("--json").stdout)["store"] == str(store.root)
    assert not store.root.exists()


def test_a_store_that_is_a_file_is_one_sentence(own_folder: Path) -> None:
    (own_folder / "file").write_text("")
    refused = check("file/below")
    assert refused.exit_code == 5
    assert "there is a file instead of a directory" in refused.stdout


@pytest.fixture
def nobodys_folder(monkeypatch: pytest.MonkeyPatch, own_folder: Path) -> Iterator[Path]:
    """The current folder, which everybody may enter: pytest's own is the user's alone."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        monkeypatch.chdir(folder)
        monkeypatch.setenv("XDG_CONFIG_HOME", str(folder / "config"))
        monkeypatch.setenv("FINTTS_STATE_DIR", str(folder / "state"))
        yield folder


@contextmanager
def as_nobody() -> Iterator[None]:
    """Root may write everywhere; any other user stays who he is."""
    mine = os.geteuid()
    if mine == 0:
        os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(mine)


def test_a_folder_that_may_not_be_written(nobodys_folder: Path, tmp_path: Path) -> None:
    root = nobodys_folder / "store"
    fill(DirectoryStore(root), tmp_path)
    for path in (root, *root.rglob("*")):
        path.chmod(0o555 if path.is_dir() else 0o444)
    with as_nobody():
        refused = check("store", "--json")
    for path in (root, *root.rglob("*")):
        path.chmod(0o755)
    assert refused.exit_code == 5
    document = json.loads(refused.stdout)
    verdicts = {probe["name"]: probe["verdict"] for probe in document["probes"]}
    assert (verdicts["list"], verdicts["write"]) == ("ok", "failed")
    assert document["runs"][0]["checkpoints"] == 3


# --- S3 -------------------------------------------------------------------------------------------


def test_a_bucket_is_checked_as_a_folder_is(moto_endpoint: str, tmp_path: Path) -> None:
    address = make_bucket(moto_endpoint, f"b{secrets.token_hex(8)}")
    damaged, *_ = fill(S3Store(address), tmp_path)
    client = boto3.client("s3", endpoint_url=moto_endpoint)
    key = f"{address.prefix}datasets/{DIGEST}.safetensors"
    client.create_multipart_upload(Bucket=address.bucket, Key=key)
    place = f"s3://{address.bucket}/{address.prefix}"
    options = ("--s3-endpoint-url", moto_endpoint, "--json")
    passed = check(place, *options)
    assert passed.exit_code == 0, passed.output
    document = json.loads(passed.stdout)
    assert [fault["place"] for fault in document["faults"]] == [f"datasets/{DIGEST}.safetensors"]
    S3Store(address).delete(adapter(damaged))
    S3Store(address).delete(record().packed.key)
    refused = check(place, *options)
    assert refused.exit_code == 5
    kinds = [fault["kind"] for fault in json.loads(refused.stdout)["faults"]]
    assert kinds == ["input", "unfinished", "damaged"]


def test_a_bucket_that_is_not_there_is_one_sentence(moto_endpoint: str) -> None:
    refused = check("s3://nowhere-to-be-found/a", "--s3-endpoint-url", moto_endpoint, "--json")
    assert refused.exit_code == 5
    document = json.loads(refused.stdout)
    assert document["runs"] is None
    assert document["probes"][0]["sentence"].startswith("the bucket s3://nowhere-to-be-found at ")
    assert {probe["verdict"] for probe in document["probes"][1:]} == {"not probed"}


# --- when it is ended -----------------------------------------------------------------------------


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_check_that_is_ended_leaves_no_trace(moto_endpoint: str, number: signal.Signals) -> None:
    """It is ended while it waits for a busy server, its probes being in the bucket."""
    address = make_bucket(moto_endpoint, f"b{secrets.token_hex(8)}")
    client = boto3.client("s3", endpoint_url=moto_endpoint)
    with fault_proxy(moto_endpoint) as proxy:
        proxy.faults.append(Fault("answer", "GET", "?lifecycle", times=1000))
        process = subprocess.Popen(
            [FINTTS, "store", "check", replace(address, endpoint_url=proxy.url).url],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        while not any("?lifecycle" in request for request in proxy.requests):
            assert process.poll() is None
            time.sleep(0.005)
        assert client.list_objects_v2(Bucket=address.bucket)["KeyCount"] > 0
        process.send_signal(number)
        process.communicate()
    assert process.returncode == 130
    assert client.list_objects_v2(Bucket=address.bucket)["KeyCount"] == 0
    assert "Uploads" not in client.list_multipart_uploads(Bucket=address.bucket)
