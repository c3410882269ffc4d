"""Opens the data of a run: encodes it once for its base model, and gives each process its share."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from fintts_inputs.rules import schedule_of
from fintts_trainer.data.encode import encode_utterances, encoding_key
from fintts_trainer.data.encoded import encoded_once, write_encoded
from fintts_trainer.data.feed import Feed
from fintts_trainer.data.order import Order
from fintts_trainer.processes.hang_limits import LEAST_SECONDS

if TYPE_CHECKING:
    from pathlib import Path

    from fintts_inputs.config import RunConfig
    from fintts_trainer.data.encoded import EncodedDataset
    from fintts_trainer.data.pack_of_run import PackOfRun
    from fintts_trainer.families.base import BaseModel
    from fintts_trainer.processes.world import World
    from fintts_trainer.session.session import Session


def open_encoded(session: Session, base: BaseModel, source: PackOfRun) -> EncodedDataset:
    """The utterances as this base model reads them; encodes them unless an earlier job did."""
    record, workspace = session.record, session.job.workspace

    def write(path: Path) -> None:
        pack = source.pack
        session.progress.begin("encoding the data", LEAST_SECONDS, "setup")
        started, everything = time.monotonic(), session.progress.with_signs(range(len(pack)))
        names = map(pack.name, range(len(pack)))
        examples = encode_utterances(base, pack, everything)
        write_encoded(path, zip(names, examples, strict=True), len(pack))
        session.log(f"{len(pack):,} utterances encoded in {time.monotonic() - started:.1f} s")

    return encoded_once(workspace / "encoded", encoding_key(record), write)


def open_feed(dataset: EncodedDataset, config: RunConfig, world: World) -> Feed:
    """This process's share of each step and of the held-out utterances."""
    kept, held_out = dataset.split(config.validation.fraction)
    lengths = dataset.lengths[kept] if config.training.bucketing else None
    schedule = schedule_of(config, len(kept))
    return Feed(
        dataset=dataset,
        training=kept,
        held_out=held_out,
        order=Order(schedule, config.training.seed, lengths),
        config=config.training,
        rank=world.rank,
        world=world.size,
        device=world.device,
    )
