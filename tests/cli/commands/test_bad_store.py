"""Stores that are wrong, closed or tampered with: one clear sentence, exit 5, nothing harmed."""

from __future__ import annotations

import json
import secrets
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from typer.testing import Result

from checks import every
from cli_project import wait_for_line
from command_line import invoke
from fault_proxy import Fault, fault_proxy
from fintts_cli.checkpoints.pull import pull
from fintts_store import layout
from fintts_store.backends.directory import DirectoryStore
from fintts_store.backends.s3.addresses.address import S3Address
from fintts_store.backends.s3.s3 import S3Store
from fintts_store.checkpoints.commit import CheckpointFacts, Committer
from fintts_store.checkpoints.manifest import Manifest
from fintts_store.checkpoints.restore import is_whole
from fintts_store.disk.lock import alone_in
from fintts_store.runs.claims import take_claim
from fintts_store.runs.runs import create_run
from fintts_store.store import Store
from radosgw import Radosgw
from run_samples import DIGEST, record
from s3_servers import make_bucket

RUN = "kalevala-1"
ADAPTER = "adapter_model.safetensors"


def fintts(*arguments: str) -> Result:
    return invoke(list(arguments))


def refused(result: Result, said: str, code: int = 5) -> None:
    """One error, one sentence, and no traceback."""
    assert result.exit_code == code, result.output
    errors = [line for line in result.stderr.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1, result.stderr
    assert said in errors[0]
    assert "Traceback" not in result.stderr


def commit(store: Store, folder: Path, step: int) -> Manifest:
    target = folder / f"saved-{step}"
    target.mkdir()
    (target / ADAPTER).write_bytes(bytes([step % 251]) * 5000)
    (target / "adapter_config.json").write_text("{}")
    facts = CheckpointFacts(step, "c", DIGEST, "val/loss", "min", float(step))
    return Committer(store, RUN, 1, keep_last=9, keep_best=True).commit(target, facts)


@dataclass
class Filled:
    """A store with a run of three checkpoints."""

    store: Store
    manifests: list[Manifest]

    def file(self, manifest: Manifest, name: str = ADAPTER) -> str:
        return layout.checkpoint_prefix(RUN, manifest.name) + name

    def change(self, manifest: Manifest, change: Callable[[dict[str, object]], object]) -> None:
        """Changes the manifest where it lies, as somebody who knows that it has its own SHA-256."""
        key = layout.commit_key(RUN, manifest.name)
        content = json.loads(self.store.get(key))
        del content["self_sha256"]
        change(content)
        self.store.put(key, json.dumps(content).encode())

    def run(self, *arguments: str) -> Result:
        return fintts(*arguments, "--store", self.store.url)


def fill(store: Store, folder: Path) -> Filled:
    create_run(store, record(run=RUN))
    take_claim(store, RUN, "me")
    return Filled(store, [commit(store, folder, step) for step in (100, 200, 300)])


@pytest.fixture(params=["directory", "moto"])
def filled(request: pytest.FixtureRequest, tmp_path: Path) -> Filled:
    if request.param == "directory":
        return fill(DirectoryStore(tmp_path / "store"), tmp_path)
    endpoint_url: str = request.getfixturevalue("moto_endpoint")
    return fill(S3Store(make_bucket(endpoint_url, f"b{secrets.token_hex(8)}")), tmp_path)


# --- addresses, keys and permissions --------------------------------------------------------------

READERS = [
    ["cloud", "ps"],
    ["cloud", "watch", RUN],
    ["cloud", "report", RUN],
    ["cloud", "stop", RUN],
    ["cloud", "pull-checkpoints", RUN],
    ["cloud", "prune", RUN, "--yes"],
    ["cloud", "pin", RUN, "100"],
    ["export", RUN, "--format", "peft"],
]
by_name = pytest.mark.parametrize("command", READERS, ids=lambda command: " ".join(command[:2]))


@by_name
def test_a_bucket_that_is_not_there(moto_endpoint: str, command: list[str]) -> None:
    options = ("--store", "s3://nowhere-to-be-found/a", "--s3-endpoint-url", moto_endpoint)
    refused(fintts(*command, *options), "the bucket s3://nowhere-to-be-found at ")


@pytest.mark.parametrize(
    ("store", "said"),
    [
        ("s3://Big_Bucket/a", "names no bucket"),
        ("s3://bucket/../a", "'..'"),
        ("s3://", "names no bucket"),
        ("gs://bucket", "not the address of a supported store"),
        ("s3:/bucket/a", "not the address of a supported store"),
        ("s3:bucket", "not the address of a supported store"),
    ],
)
@by_name
def test_an_address_that_is_none(command: list[str], store: str, said: str) -> None:
    refused(fintts(*command, "--store", store), said)


@pytest.mark.parametrize(
    ("status", "code", "said"),
    [
        (403, "AccessDenied", "refuses"),
        (403, "InvalidAccessKeyId", "does not know the access key"),
        (403, "SignatureDoesNotMatch", "does not accept the secret key"),
        (400, "ExpiredToken", "have expired"),
        (403, "RequestTimeTooSkewed", "the clock of this machine"),
        (400, "AuthorizationHeaderMalformed", "is in another region"),
        (301, "PermanentRedirect", "is in another region"),
        (400, "IllegalLocationConstraintException", "is in another region"),
    ],
)
def test_whatever_the_server_refuses(moto_endpoint: str, status: int, code: str, said: str) -> None:
    with fault_proxy(moto_endpoint) as proxy:
        proxy.faults.append(Fault("answer", "GET", "", 1000, status, code))
        address = S3Address("bucket", endpoint_url=proxy.url, addressing="path")
        for command in (["cloud", "ps"], ["cloud", "pull-checkpoints", RUN]):
            refused(fintts(*command, "--store", address.url), said)


@pytest.mark.parametrize(
    ("variable", "said"),
    [
        ("AWS_SECRET_ACCESS_KEY", "does not accept the secret key"),
        ("AWS_ACCESS_KEY_ID", "does not know the access key"),
    ],
)
def test_a_real_server_that_knows_other_keys(
    gateway: Radosgw, monkeypatch: pytest.MonkeyPatch, variable: str, said: str
) -> None:
    address = make_bucket(gateway.url, f"b{secrets.token_hex(8)}")
    monkeypatch.setenv(variable, "another")
    refused(fintts("cloud", "ps", "--store", address.url), said)
    checked = fintts("store", "check", address.url, "--json")
    assert checked.exit_code == 5
    assert said in json.loads(checked.stdout)["probes"][0]["sentence"]


def test_a_key_that_expires_midway(moto_endpoint: str, tmp_path: Path) -> None:
    """What came before it is whole, what did not bears no name that anybody would open."""
    address = make_bucket(moto_endpoint, f"b{secrets.token_hex(8)}")
    filled = fill(S3Store(address), tmp_path)
    target = tmp_path / "here"
    with fault_proxy(moto_endpoint) as proxy:
        last = filled.manifests[-1].name.text
        proxy.faults.append(Fault("answer", "GET", last + "/", 1000, 400, "ExpiredToken"))
        command = ("cloud", "pull-checkpoints", RUN, "--to", str(target))
        url = replace(address, endpoint_url=proxy.url).url
        refused(fintts(*command, "--store", url), "have expired")
    shown = sorted(path.name for path in target.iterdir() if not path.name.startswith("."))
    assert shown == ["checkpoint-100", "checkpoint-200"]
    assert is_whole(filled.manifests[0], target / "checkpoint-100")
    again = filled.run(*command)
    assert again.exit_code == 0
    assert is_whole(filled.manifests[-1], target / "checkpoint-300")
    names = sorted(path.name for path in target.iterdir())
    assert names == ["checkpoint-100", "checkpoint-200", "checkpoint-300"]


@pytest.mark.parametrize(
    ("command", "method", "said"),
    [
        (["prune", RUN, "--keep-last", "1", "--yes"], "DELETE", "refuses DeleteObject"),
        (["pin", RUN, "100"], "PUT", "refuses PutObject"),
        (["stop", RUN], "PUT", "refuses PutObject"),
    ],
)
def test_a_key_that_may_not_change_anything_harms_nothing(
    moto_endpoint: str, tmp_path: Path, command: list[str], method: str, said: str
) -> None:
    address = make_bucket(moto_endpoint, f"b{secrets.token_hex(8)}")
    filled = fill(S3Store(address), tmp_path)
    before = filled.store.list("")
    with fault_proxy(moto_endpoint) as proxy:
        proxy.faults.append(Fault("answer", method, "", 1000, 403, "AccessDenied"))
        url = replace(address, endpoint_url=proxy.url).url
        refused(fintts("cloud", *command, "--store", url), said)
    assert filled.store.list("") == before


# --- manifests that were tampered with ------------------------------------------------------------


def flip_hash(content: dict[str, object]) -> None:
    files = content["files"]
    assert isinstance(files, list)
    files[0]["sha256"] = "0" * 64


def shrink(content: dict[str, object]) -> None:
    files = content["files"]
    assert isinstance(files, list)
    files[0]["size_bytes"] = 1


def point_out(content: dict[str, object]) -> None:
    files = content["files"]
    assert isinstance(files, list)
    files[0]["name"] = "../../escaped"


def of_checkpoints(checked: Result) -> list[dict[str, Any]]:
    """Faults that `store check --json` found; the inputs of these runs were never uploaded."""
    faults: list[dict[str, Any]] = json.loads(checked.stdout)["faults"]
    return [fault for fault in faults if fault["kind"] != "input"]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (flip_hash, "does not match its manifest"),
        (shrink, "its manifest says"),
        (point_out, "is not the name of a file in a folder"),
        (lambda content: content.update(run="other"), "another checkpoint"),
        (lambda content: content.update(step=900), "another checkpoint"),
        (lambda content: content.update(base_model_digest="b"), "names another base model"),
        (lambda content: content.pop("files"), "cannot be read"),
    ],
)
def test_a_manifest_that_was_tampered_with(
    filled: Filled, tmp_path: Path, change: Callable[[dict[str, object]], object], said: str
) -> None:
    bad, *good = filled.manifests
    filled.change(bad, change)
    before = {entry.key: filled.store.get(entry.key) for entry in filled.store.list("")}
    target = tmp_path / "here"
    pulled = filled.run("cloud", "pull-checkpoints", RUN, "--to", str(target))
    refused(pulled, said)
    assert sorted(path.name for path in target.iterdir()) == ["checkpoint-200", "checkpoint-300"]
    assert every(is_whole(manifest, target / f"checkpoint-{manifest.step}") for manifest in good)
    assert not list(tmp_path.rglob("escaped"))
    checked = fintts("store", "check", filled.store.url, "--read-data", "--json")
    assert checked.exit_code == 5
    faults = of_checkpoints(checked)
    assert [(fault["kind"], fault["step"]) for fault in faults] == [("damaged", 100)]
    assert said in faults[0]["sentence"] or change is shrink
    assert {entry.key: filled.store.get(entry.key) for entry in filled.store.list("")} == before


def test_a_file_that_was_replaced_by_a_link(tmp_path: Path) -> None:
    filled = fill(DirectoryStore(tmp_path / "store"), tmp_path)
    secret = tmp_path / "secret"
    secret.write_bytes(b"of somebody else")
    path = tmp_path / "store" / filled.file(filled.manifests[0])
    path.unlink()
    path.symlink_to(secret)
    pulled = filled.run("cloud", "pull-checkpoints", RUN, "--to", str(tmp_path / "here"))
    refused(pulled, "")
    assert not (tmp_path / "here" / "checkpoint-100").exists()
    checked = fintts("store", "check", filled.store.url, "--json")
    assert [fault["step"] for fault in of_checkpoints(checked)] == [100]


def test_a_target_that_is_a_link_is_not_written_through(filled: Filled, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "mine").write_text("precious")
    target = tmp_path / "here"
    target.mkdir()
    (target / "checkpoint-100").symlink_to(elsewhere)
    refused(filled.run("cloud", "pull-checkpoints", RUN, "--to", str(target)), "is a link", 2)
    assert [path.name for path in elsewhere.iterdir()] == ["mine"]


def test_a_link_to_a_whole_checkpoint_is_left_alone_too(tmp_path: Path) -> None:
    """Its card would be written beside the files to which the link leads."""
    filled = fill(DirectoryStore(tmp_path / "store"), tmp_path)
    target, elsewhere = tmp_path / "here", tmp_path / "elsewhere"
    assert filled.run("cloud", "pull-checkpoints", RUN, "--to", str(target)).exit_code == 0
    (target / "checkpoint-100").rename(elsewhere)
    (elsewhere / "README.md").unlink()
    (target / "checkpoint-100").symlink_to(elsewhere)
    refused(filled.run("cloud", "pull-checkpoints", RUN, "--to", str(target)), "is a link", 2)
    assert not (elsewhere / "README.md").exists()


def test_nothing_of_the_user_s_is_removed_beside_the_checkpoints(tmp_path: Path) -> None:
    filled = fill(DirectoryStore(tmp_path / "store"), tmp_path)
    target, elsewhere = tmp_path / "here", tmp_path / "elsewhere"
    mine = [".tmp-mine", ".tmp-000001-mine", ".tmp-0123abcd-notes"]
    for name in mine:
        (target / name).mkdir(parents=True)
    elsewhere.mkdir()
    planted = target / f".tmp-{filled.manifests[0].name.text}"
    planted.symlink_to(elsewhere)
    left = target / ".tmp-000001-000000900-0123abcd"
    left.mkdir()
    assert filled.run("cloud", "pull-checkpoints", RUN, "--to", str(target)).exit_code == 0
    assert every((target / name).exists() for name in mine)
    assert list(elsewhere.iterdir()) == []
    assert not left.exists()
    assert is_whole(filled.manifests[0], target / "checkpoint-100")


def test_the_hint_of_a_pull_names_its_own_option(tmp_path: Path) -> None:
    filled = fill(DirectoryStore(tmp_path / "store"), tmp_path)
    (tmp_path / "file").write_text("no folder")
    for below in ("file", "file/deeper"):
        pulled = filled.run("cloud", "pull-checkpoints", RUN, "--to", str(tmp_path / below))
        refused(pulled, "cannot be used")
        assert "choose another directory with --to" in pulled.stderr


def test_a_pull_into_the_store_is_refused(tmp_path: Path) -> None:
    filled = fill(DirectoryStore(tmp_path / "store"), tmp_path)
    before = sorted((tmp_path / "store").rglob("*"))
    for target in ("store", "store/runs", "store/new"):
        pulled = filled.run("cloud", "pull-checkpoints", RUN, "--to", str(tmp_path / target))
        assert pulled.exit_code == 2
        assert "is inside the store" in pulled.stderr
        assert "choose a folder outside it with --to" in pulled.stderr
    assert sorted((tmp_path / "store").rglob("*")) == before


@pytest.mark.skipif(sys.platform != "linux", reason="/proc is Linux's")
def test_a_place_that_takes_no_files_is_a_sentence(tmp_path: Path) -> None:
    filled = fill(DirectoryStore(tmp_path / "store"), tmp_path)
    every_way = (
        filled.run("cloud", "pull-checkpoints", RUN, "--to", "/proc/x"),
        filled.run("export", RUN, "--format", "peft", "--to", "/proc/x"),
        fintts("data", "pack", str(tmp_path), "--to", "/proc"),
        fintts("init", "--no-input", "--config", "/proc/x"),
    )
    for done in every_way:
        assert done.exit_code == 2, done.output
        assert "/proc accepts no new files" in done.stderr
        assert "choose another folder with --" in done.stderr


def test_a_record_that_is_a_folder_is_damaged(tmp_path: Path) -> None:
    filled = fill(DirectoryStore(tmp_path / "store"), tmp_path)
    path = tmp_path / "store" / "runs" / RUN / "run.json"
    path.unlink()
    path.mkdir()
    shown = filled.run("cloud", "report", RUN)
    refused(shown, f"the record of run {RUN} is damaged")


def test_a_manifest_of_a_later_version_is_not_called_damaged(tmp_path: Path) -> None:
    filled = fill(DirectoryStore(tmp_path / "store"), tmp_path)
    filled.change(filled.manifests[0], lambda content: content.update(version=2))
    target = tmp_path / "here"
    refused(filled.run("cloud", "pull-checkpoints", RUN, "--to", str(target)), "version 2")
    assert sorted(path.name for path in target.iterdir()) == ["checkpoint-200", "checkpoint-300"]
    checked = fintts("store", "check", filled.store.url, "--json")
    faults = of_checkpoints(checked)
    assert [(fault["kind"], fault["step"], fault["harmless"]) for fault in faults] == [
        ("later", 100, True)
    ]
    pruned = filled.run("cloud", "prune", RUN, "--yes", "--keep-last", "1")
    assert pruned.exit_code == 0
    assert filled.file(filled.manifests[0]) in {entry.key for entry in filled.store.list("")}


# --- several at once ------------------------------------------------------------------------------


def test_of_two_who_pull_to_one_place_the_second_waits(filled: Filled, tmp_path: Path) -> None:
    target = tmp_path / "here"
    command = [sys.executable, "-m", "fintts_cli", "cloud", "pull-checkpoints", RUN]
    with alone_in(target, lambda: None):
        second = subprocess.Popen(
            [*command, "--to", str(target), "--store", filled.store.url],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        wait_for_line(second, "waiting for another pull into")
        assert list(target.iterdir()) == []
    second.communicate()
    assert second.returncode == 0
    for manifest in filled.manifests:
        assert is_whole(manifest, target / f"checkpoint-{manifest.step}")


def test_many_who_pull_to_one_place_all_find_it_whole(filled: Filled, tmp_path: Path) -> None:
    """Without waiting for each other they replace what the others have just put there."""
    target, troubles = tmp_path / "here", list[object]()

    @contextmanager
    def untold(_size_bytes: int) -> Iterator[Callable[[int], None]]:
        yield lambda _size_bytes: None

    def pull_all() -> None:
        try:
            pulled = pull(
                filled.store,
                filled.manifests,
                filled.manifests,
                target,
                lambda _manifest: "a card",
                lambda _sentence: None,
                untold,
            )
            troubles.extend(one.trouble for one in pulled if one.trouble)
        except OSError as error:
            troubles.append(error)

    threads = [threading.Thread(target=pull_all) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert troubles == []
    assert sorted(path.name for path in target.iterdir()) == [
        f"checkpoint-{manifest.step}" for manifest in filled.manifests
    ]
