"""Makes stores that are damaged, or that an attacker wrote: `python hostile_stores.py FOLDER`.

Each has the healthy run `good` beside the run `bad`, of which one thing is wrong. A store is a
folder; its name is the kind.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from fintts_store import layout
from fintts_store.backends.directory import DirectoryStore
from fintts_store.checkpoints.commit import CheckpointFacts, Committer
from fintts_store.checkpoints.manifest import Manifest
from fintts_store.runs.claims import take_claim
from fintts_store.runs.end_run import end_run
from fintts_store.runs.logs import write_log
from fintts_store.runs.records import Phase
from fintts_store.runs.runs import create_run, write_status
from run_samples import DATA, DIGEST, START, metrics, record, result, status

GOOD, BAD = "good", "bad"
OSC_52 = "\x1b]52;c;cm0gLXJmIH4=\x07"
CSI = "\x1b[2J\x1b[31mall is well\x9b0m"
BIDI = "\u202egnp.exe\u2066"
EVIL = f"a{OSC_52}b{CSI}c{BIDI}d\x7f"
CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")
"""what a terminal would obey, or what reorders a line; not by the product's own filter"""
HUGE_BYTES = 3 * 10**9
LARGE_INTEGER = "1" + "0" * 5000


@dataclass
class Bad:
    """The run that is made bad, as files."""

    store: Path
    manifests: list[Manifest]

    @property
    def run(self) -> Path:
        return self.store / "runs" / BAD

    @property
    def manifest(self) -> Path:
        return self.store / layout.commit_key(BAD, self.manifests[-1].name)

    @property
    def checkpoint(self) -> Path:
        return self.store / layout.checkpoint_prefix(BAD, self.manifests[-1].name)

    def write(self, name: str, content: bytes | str | None = None) -> None:
        path = self.run / name
        path.parent.mkdir(parents=True, exist_ok=True)
        text = content.encode("utf-8", "surrogatepass") if isinstance(content, str) else content
        path.write_bytes(text or b"")

    def change(self, name: str, **fields: Any) -> None:
        """Replaces fields of a JSON record of the run; dots lead into it."""
        self.change_file(self.run / name, **fields)

    def change_file(self, path: Path, **fields: Any) -> None:
        content = unsealed(path)
        for key, value in fields.items():
            *way, last = key.split("__")
            place = content
            for part in way:
                place = place[int(part) if isinstance(place, list) else part]
            place[last] = value
        path.write_text(json.dumps(content))

    def spell(self, name: str, field: str, literal: str) -> None:
        """Writes a number as it stands in the text, which json.dumps would not."""
        path = self.run / name
        content = json.loads(path.read_text())
        content[field] = "@@"
        path.write_text(json.dumps(content).replace('"@@"', literal))


def unsealed(path: Path) -> Any:
    """A record without its own SHA-256, which who changes it leaves out."""
    content = json.loads(path.read_text())
    content.pop("self_sha256", None)
    return content


def healthy(store: DirectoryStore, folder: Path, run: str) -> list[Manifest]:
    """A run that ended, with all that a run can have."""
    base = layout.base_model_prefix(DIGEST)
    store.put(f"{base}config.json", b'{"model_type": "dual_ar"}')
    store.put(record().packed.key, DATA)
    config = {"training": {"max_steps": 3000}, "checkpoints": {"keep_last": 2}}
    create_run(store, record(run=run, config=config))
    write_status(store, status(run=run, phase=Phase.DONE))
    claim = take_claim(store, run, "a test")
    committer = Committer(store, run, claim, keep_last=9, keep_best=True)
    manifests: list[Manifest] = []
    for step in (100, 200):
        saved = folder / f"{run}-{step}"
        saved.mkdir()
        (saved / "adapter_model.safetensors").write_bytes(bytes([step]) * 2000)
        (saved / "adapter_config.json").write_text("{}")
        facts = CheckpointFacts(step, "c", DIGEST, "val/loss", "min", step / 100)
        manifests.append(committer.commit(saved, facts))
    rows = "".join(row.dump() + "\n" for row in metrics()[:40])
    store.put(layout.metrics_key(run, claim, 0), rows.encode())
    write_log(store, run, START + timedelta(minutes=20), b"it said this\n")
    end_run(store, result(run=run, kept_steps=(100, 200)))
    return manifests


def sparse(path: Path, size_bytes: int) -> None:
    """A file of that size that takes no space on the disk."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        file.truncate(size_bytes)


def nested(depth: int) -> str:
    return "[" * depth + "]" * depth


def _nested_config(bad: Bad) -> None:
    text = (bad.run / "run.json").read_text()
    content = json.loads(text)
    content["config"] = "@@"
    bad.write("run.json", json.dumps(content).replace('"@@"', '{"a":' + nested(100_000) + "}"))


def _planted(bad: Bad, claim: int, *, with_claim: bool = False) -> None:
    """A checkpoint as good as the real one, but for its claim, and better than all."""
    content = unsealed(bad.manifest)
    name = layout.CommitName(claim, 900, content["id"])
    content |= {"claim": claim, "step": name.step, "value": 1e-9}
    if with_claim:
        bad.write(f"claims/{claim:06d}", "{}")
    (bad.store / layout.commit_key(BAD, name)).write_text(json.dumps(content))
    folder = bad.store / layout.checkpoint_prefix(BAD, name)
    shutil.copytree(bad.checkpoint, folder)


def _many_files(bad: Bad) -> None:
    content = unsealed(bad.manifest)
    content["files"] = [
        {"name": f"{number}", "size_bytes": 1, "sha256": DIGEST} for number in range(20_000)
    ]
    bad.manifest.write_text(json.dumps(content))


def _link(path: Path, target: str) -> None:
    path.unlink(missing_ok=True)
    path.symlink_to(target)


def _folder(path: Path) -> Path:
    path.unlink(missing_ok=True)
    path.mkdir()
    return path


def _pipe(path: Path) -> None:
    path.unlink(missing_ok=True)
    os.mkfifo(path)


def _foreign_bytes(bad: Bad) -> None:
    name = os.fsencode(bad.run / "logs") + b"/\xff\x1b[31m.txt"
    with open(name, "wb") as file:  # noqa: PTH123 - a name that is no text
        file.write(b"a log\n")


KINDS: dict[str, Callable[[Bad], object]] = {
    # run.json
    "run-of-another": lambda bad: bad.change("run.json", run=GOOD),
    "run-above": lambda bad: bad.change("run.json", run="../x"),
    "run-missing": lambda bad: (bad.run / "run.json").unlink(),
    "run-empty": lambda bad: bad.write("run.json"),
    "run-cut": lambda bad: bad.write("run.json", (bad.run / "run.json").read_bytes()[:300]),
    "run-binary": lambda bad: bad.write("run.json", bytes(range(256)) * 8),
    "run-a-list": lambda bad: bad.write("run.json", "[]"),
    "run-nested": lambda bad: bad.write("run.json", nested(100_000)),
    "run-nested-config": _nested_config,
    "run-huge": lambda bad: sparse(bad.run / "run.json", HUGE_BYTES),
    "run-a-folder": lambda bad: _folder(bad.run / "run.json"),
    "run-a-pipe": lambda bad: _pipe(bad.run / "run.json"),
    "run-a-device": lambda bad: _link(bad.run / "run.json", "/dev/zero"),
    "run-a-link-to-another": lambda bad: _link(bad.run / "run.json", "../good/run.json"),
    "rate-immense": lambda bad: bad.change("run.json", price__hourly_rate_usd="1e999999"),
    "rate-tiny": lambda bad: bad.change("run.json", price__hourly_rate_usd="1e-999999"),
    "rate-negative": lambda bad: bad.change("run.json", price__hourly_rate_usd="-5"),
    "rate-no-number": lambda bad: bad.change("run.json", price__hourly_rate_usd="NaN"),
    "budget-immense": lambda bad: bad.change("run.json", budget_usd="9e99999"),
    "deadline-9999": lambda bad: bad.change("run.json", deadline_at="9999-12-31T23:59:59Z"),
    "created-year-1": lambda bad: bad.change("run.json", created_at="0001-01-01T00:00:00+14:00"),
    "created-without-zone": lambda bad: bad.change("run.json", created_at="2026-11-23T09:00:00"),
    "keep-last-negative": lambda bad: bad.change("run.json", config__checkpoints__keep_last=-3),
    "keep-last-immense": lambda bad: bad.change("run.json", config__checkpoints__keep_last=10**30),
    "config-of-nonsense": lambda bad: bad.change("run.json", config={"training": 7}),
    "estimate-of-nonsense": lambda bad: bad.change(
        "run.json", estimate={"cost_usd": 1e308, "training_seconds": -1e300, "scenarios": [1]}
    ),
    "infra-evil": lambda bad: bad.change("run.json", infra=EVIL),
    "infra-above": lambda bad: bad.change("run.json", infra="../../etc"),
    "gpus-evil": lambda bad: bad.change("run.json", gpus=EVIL),
    "price-source-evil": lambda bad: bad.change("run.json", price__source=EVIL),
    "base-model-above": lambda bad: bad.change(
        "run.json", base_model__prefix="base_models/../../x/"
    ),
    "base-model-evil": lambda bad: bad.change("run.json", base_model__name=EVIL),
    "dataset-elsewhere": lambda bad: bad.change("run.json", dataset__key="runs/good/run.json"),
    "long-name": lambda bad: bad.change("run.json", gpus="A" * 300_000),
    # revisions
    "revision-of-another": lambda bad: bad.write(
        "revisions/000001.json", json.dumps({"run": GOOD, "number": 1})
    ),
    "revision-of-another-number": lambda bad: bad.write(
        "revisions/999999.json",
        json.dumps(
            {
                "run": BAD,
                "number": 1,
                "created_at": "2026-11-23T09:00:00Z",
                "fintts_version": "1",
                "config": {},
                "changes": [],
            }
        ),
    ),
    # status.json
    "status-of-another": lambda bad: bad.change("status.json", run=GOOD),
    "status-huge": lambda bad: sparse(bad.run / "status.json", HUGE_BYTES),
    "status-torn": lambda bad: bad.write(
        "status.json", (bad.run / "status.json").read_bytes()[:99]
    ),
    "status-a-pipe": lambda bad: _pipe(bad.run / "status.json"),
    "status-evil": lambda bad: bad.change("status.json", message=EVIL),
    "status-half-a-character": lambda bad: bad.change("status.json", message="a\ud800b"),
    "status-forges-lines": lambda bad: bad.change(
        "status.json", message="\n\ngood: it has ended\n"
    ),
    "status-9999": lambda bad: bad.change("status.json", updated_at="9999-12-31T23:59:59Z"),
    "status-step-immense": lambda bad: bad.spell("status.json", "step", LARGE_INTEGER),
    "status-step-negative": lambda bad: bad.change("status.json", step=-1),
    "status-nan": lambda bad: bad.spell("status.json", "loss", "NaN"),
    "status-infinite": lambda bad: bad.spell("status.json", "seconds_per_step", "1e999"),
    "status-eta-negative": lambda bad: bad.change("status.json", eta_seconds=-1e9),
    "status-phase-unknown": lambda bad: bad.change("status.json", phase=EVIL),
    # result.json
    "result-of-another": lambda bad: bad.change("result.json", run=GOOD),
    "result-huge": lambda bad: sparse(bad.run / "result.json", HUGE_BYTES),
    "result-evil": lambda bad: bad.change("result.json", message=EVIL, monitor=EVIL),
    "result-phases-nan": lambda bad: bad.spell("result.json", "phase_seconds", '{"training": NaN}'),
    "result-phases-immense": lambda bad: bad.change("result.json", phase_seconds={EVIL: 1e300}),
    "result-9999": lambda bad: bad.change("result.json", ended_at="9999-12-31T23:59:59Z"),
    "result-claims-immense": lambda bad: bad.spell("result.json", "claims", LARGE_INTEGER),
    # metrics
    "metrics-torn": lambda bad: bad.write("metrics/000001-000001.jsonl", '{"step": 1, "ki'),
    "metrics-binary": lambda bad: bad.write("metrics/000001-000001.jsonl", os.urandom(5000)),
    "metrics-huge": lambda bad: sparse(bad.run / "metrics/000001-000001.jsonl", HUGE_BYTES),
    "metrics-foreign": lambda bad: bad.write("metrics/.DS_Store", b"\0\0\0\1Bud1"),
    "metrics-wild": lambda bad: bad.write(
        "metrics/000001-000001.jsonl",
        "".join(
            json.dumps({"step": step, "kind": kind, "values": values, "at": "2026-11-23T09:00:00Z"})
            + "\n"
            for step, kind, values in (
                (1, "train", {"loss": 1e308, "seconds": 1e308, "tokens_per_second": 1}),
                (2, "train", {"loss": "NaN", "seconds": "Infinity", EVIL: 1}),
                (999_999_999, "validation", {"top5_accuracy": -1e308, "loss": "-Infinity"}),
            )
        ),
    ),
    # claims
    "claim-999999": lambda bad: bad.write("claims/999999", "{}"),
    "claim-999999-with-a-commit": lambda bad: _planted(bad, 999_999, with_claim=True),
    "commit-of-no-claim": lambda bad: _planted(bad, 2),
    "claim-evil": lambda bad: bad.write("claims/000002", json.dumps({"holder": EVIL})),
    "claim-huge": lambda bad: sparse(bad.run / "claims/000002", HUGE_BYTES),
    # manifests
    "manifest-of-another-run": lambda bad: bad.change_file(bad.manifest, run=GOOD),
    "manifest-of-another-step": lambda bad: bad.change_file(bad.manifest, step=7),
    "manifest-larger": lambda bad: bad.change_file(bad.manifest, files__1__size_bytes=2 * 10**9),
    "manifest-smaller": lambda bad: bad.change_file(bad.manifest, files__1__size_bytes=742),
    "manifest-immense": lambda bad: bad.change_file(bad.manifest, files__1__size_bytes=10**30),
    "manifest-negative": lambda bad: bad.change_file(bad.manifest, files__1__size_bytes=-1),
    "manifest-above": lambda bad: bad.change_file(bad.manifest, files__1__name="../../x"),
    "manifest-evil-name": lambda bad: bad.change_file(bad.manifest, files__1__name=EVIL),
    "manifest-evil-monitor": lambda bad: bad.change_file(bad.manifest, monitor=EVIL),
    "manifest-of-another-value": lambda bad: bad.manifest.write_text(
        bad.manifest.read_text().replace('"value":2.0', '"value":0.1')
    ),
    "manifest-later": lambda bad: bad.change_file(bad.manifest, version=2),
    "manifest-cut": lambda bad: bad.manifest.write_bytes(bad.manifest.read_bytes()[:99]),
    "manifest-huge": lambda bad: sparse(bad.manifest, HUGE_BYTES),
    "manifest-of-many-files": _many_files,
    "manifest-9999": lambda bad: bad.change_file(bad.manifest, created_at="9999-12-31T23:59:59Z"),
    "checkpoint-missing": lambda bad: (bad.checkpoint / "adapter_model.safetensors").unlink(),
    "checkpoint-huge": lambda bad: sparse(bad.checkpoint / "adapter_model.safetensors", HUGE_BYTES),
    # the rest
    "stop-binary": lambda bad: bad.write("stop.json", b"\xff\0"),
    "pin-foreign": lambda bad: bad.write("commits/x\x1b[31m.pin", "x"),
    "log-evil": lambda bad: bad.write("logs/20261123T092000.000000Z.txt", f"{EVIL}\ud800\n" * 3),
    "log-huge": lambda bad: sparse(bad.run / "logs/20261123T092000.000000Z.txt", HUGE_BYTES),
    "log-of-a-name-without-text": _foreign_bytes,
    "ledger-cut": lambda bad: bad.write("ledger/000001/asked.json", '{"run": "bad"'),
    "ledger-evil": lambda bad: bad.write("ledger/000001/gone-x\x1b[31m.json", "{}"),
    "ledger-huge": lambda bad: sparse(bad.run / "ledger/000001/asked.json", HUGE_BYTES),
    "folder-evil": lambda bad: (bad.store / f"runs/{CSI}").mkdir(),
    "folder-with-a-file": lambda bad: (
        _folder(bad.store / "runs/UPPER case").joinpath("run.json").write_text("{}")
    ),
    "base-model-nested": lambda bad: (bad.store / f"base_models/{DIGEST}/config.json").write_text(
        nested(100_000)
    ),
    "base-model-huge": lambda bad: sparse(
        bad.store / f"base_models/{DIGEST}/config.json", HUGE_BYTES
    ),
    "store-of-files": lambda bad: (bad.store / "runs/a-file").write_text("x"),
}


@contextmanager
def within(seconds: int) -> Iterator[None]:
    """Raises TimeoutError where the block takes longer."""

    def ring(_number: int, _frame: object) -> None:
        raise TimeoutError(f"it took more than {seconds} s")

    before = signal.signal(signal.SIGALRM, ring)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def make(kind: str, folder: Path) -> Path:
    """The store of that kind, in a folder of its own below `folder`."""
    root = folder / kind
    store = DirectoryStore(root)
    with tempfile.TemporaryDirectory() as saved:
        healthy(store, Path(saved), GOOD)
        bad = Bad(root, healthy(store, Path(saved), BAD))
    KINDS[kind](bad)
    return root


if __name__ == "__main__":
    for each in KINDS:
        make(each, Path(sys.argv[1]))
