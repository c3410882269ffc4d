"""Takes the next claim of a run, goes on from its newest checkpoint and commits until it is killed.

    python commit_for_ever.py STORE FOLDER [COUNT]

With the trainer's own uploader. For each line on standard input a process of its own begins, forked
from one that has imported all, which takes as long as all else. Printed are the process's number,
`ready`, a step when its commit is reported (what is printed may not be lost), and `gone`.

With COUNT there is one process, which ends by itself after so many steps, all of them committed.
"""

from __future__ import annotations

import itertools
import json
import os
import random
import shutil
import sys
from pathlib import Path

from fintts_store.backends.s3.backend import S3Backend
from fintts_store.backends.s3.transfer.parts import Parts
from fintts_store.checkpoints.commit import CheckpointFacts, Committer
from fintts_store.checkpoints.manifest import Manifest
from fintts_store.checkpoints.orphans import clean_up_orphans
from fintts_store.checkpoints.restore import restore_newest
from fintts_store.checkpoints.uploader import Uploader
from fintts_store.disk.durable import durable_directory
from fintts_store.errors import StoreError
from fintts_store.network.patience import PATIENT
from fintts_store.opening import open_store
from fintts_store.runs.claims import take_claim
from fintts_store.store import Store

RUN = "tiny"
KEEP_LAST = 3
MB = 1024 * 1024
SMALL_BYTES, LARGE_BYTES = 20_000, 6 * MB


def value_of(step: int) -> float:
    """Pseudo-random, so that the best checkpoint is often an old one."""
    return float((step * 7) % 13)


def content_of(step: int) -> dict[str, bytes]:
    """The files of a step's checkpoint, from nothing but the step."""
    generator = random.Random(step)
    return {
        "adapter_model.safetensors": generator.randbytes(SMALL_BYTES),
        "optimizer.safetensors": generator.randbytes(LARGE_BYTES if step % 5 == 0 else SMALL_BYTES),
        "trainer_state.json": json.dumps({"step": step}).encode(),
    }


def store_of(url: str) -> Store:
    """In S3, the large file goes in parts."""
    is_s3 = url.startswith("s3://")
    return S3Backend(Parts(5 * MB, 5 * MB)).open(url, PATIENT) if is_s3 else open_store(url)


def main(url: str, folder: Path, count: int | None) -> None:
    store = store_of(url)
    claim = take_claim(store, RUN, "child")
    clean_up_orphans(store, RUN, claim)
    newest = restore_newest(store, RUN, folder / "resumed", lambda _name, _error: sys.exit(9))
    committer = Committer(store, RUN, claim, keep_last=KEEP_LAST, keep_best=True)
    committer.resume_point = newest.id if newest else None
    uploader = Uploader(committer, lambda: None, report, complain)
    tell("ready")
    first = newest.step + 1 if newest else 1
    for step in itertools.islice(itertools.count(first), count):
        local = folder / "local" / f"checkpoint-{step}"
        shutil.rmtree(local, ignore_errors=True)
        with durable_directory(local) as target:
            for name, data in content_of(step).items():
                (target / name).write_bytes(data)
        facts = CheckpointFacts(step, "c", "b", "val/loss", "min", value_of(step))
        uploader.submit(local, facts, must_stop_waiting=lambda: False)
    if not uploader.drain(60):
        sys.exit(8)
    uploader.close()


def begin_again(url: str, folder: Path) -> None:
    """One process after another, each until somebody kills it."""
    for _ in sys.stdin:
        known, say_known = os.pipe()
        process = os.fork()
        if process == 0:
            os.read(known, 1)
            main(url, folder, None)
            os._exit(0)
        tell(str(process))
        os.write(say_known, b"x")
        os.waitpid(process, 0)
        os.close(known)
        os.close(say_known)
        tell("gone")


def report(manifest: Manifest) -> None:
    tell(str(manifest.step))


def complain(error: StoreError) -> None:
    sys.stderr.write(f"{error.message}\n")


def tell(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    if len(sys.argv) > 3:
        main(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]))
    else:
        begin_again(sys.argv[1], Path(sys.argv[2]))
