"""Takes the next claim of a run, goes on from its newest checkpoint and commits until it is killed.

Prints a step when its commit is reported: what is printed may not be lost.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from fintts_store.claims import take_claim
from fintts_store.commit import CheckpointFacts, Committer, clean_up_orphans
from fintts_store.directory import DirectoryStore
from fintts_store.durable import durable_directory
from fintts_store.restore import restore_newest

RUN = "tiny"


def main(folder: Path) -> None:
    store = DirectoryStore(folder / "store")
    claim = take_claim(store, RUN, "child")
    clean_up_orphans(store, RUN, claim)
    newest = restore_newest(store, RUN, folder / "resumed", lambda _manifest, _error: sys.exit(9))
    committer = Committer(store, RUN, claim, keep_last=3, keep_best=True)
    committer.resume_point = newest.id if newest else None
    step = newest.step if newest else 0
    while True:
        step += 1
        local = folder / "local" / f"checkpoint-{step}"
        with durable_directory(local) as target:
            (target / "adapter").write_bytes(f"adapter {step}".encode() * 100)
            (target / "state.json").write_text(json.dumps({"step": step}))
        value = float((step * 7) % 13)
        committer.commit(local, CheckpointFacts(step, "c", "b", "val/loss", "min", value))
        sys.stdout.write(f"{step}\n")
        sys.stdout.flush()
        committer.rotate()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
