"""A run in a store with adapters that change everything, without training it."""

from __future__ import annotations

from pathlib import Path

import torch

from fintts_cli.launch.upload import describe_base_model, upload_files
from fintts_inputs.base_model.families import read_config
from fintts_inputs.base_model.open import open_base_model
from fintts_inputs.config import LoraConfig
from fintts_store.backends.directory import DirectoryStore
from fintts_store.checkpoints.commit import CheckpointFacts, Committer
from fintts_store.runs.claims import take_claim
from fintts_store.runs.runs import create_run
from fintts_trainer.families.fish import FishBase, FishFamily
from fintts_trainer.model.lora import add_adapter, trainable, write_adapter
from run_samples import record

VALUES: dict[int, float | None] = {100: 4.0, 200: 5.0}


def write_run(store: DirectoryStore, base_folder: Path, folder: Path, run: str = "mine") -> None:
    """A run with the checkpoints of VALUES; each holds PEFT's files and an optimizer's."""
    base = FishFamily().open(read_config(base_folder))
    reference = describe_base_model(open_base_model(base_folder))
    upload_files(store, reference, base_folder, "the base model", lambda _: None)
    create_run(store, record(run=run, base_model=reference))
    committer = Committer(store, run, take_claim(store, run, "test"), keep_last=5, keep_best=True)
    for step, value in VALUES.items():
        saved = write_random_adapter(base, folder / f"saved-{run}-{step}", seed=step)
        (saved / "optimizer.safetensors").write_bytes(b"the moments")
        (saved / "trainer_state.json").write_text("{}")
        facts = CheckpointFacts(
            step=step,
            config_digest="c",
            base_model_digest=reference.digest,
            monitor="val/loss",
            mode="min",
            value=value,
        )
        committer.commit(saved, facts)


def write_random_adapter(
    base: FishBase, folder: Path, config: LoraConfig | None = None, seed: int = 0
) -> Path:
    """An adapter that changes every matrix that it is on."""
    folder.mkdir()
    model = add_adapter(
        base.load(torch.float32),
        base.targets,
        config or LoraConfig(rank=4),
        base_name="tiny",
        seed=seed,
    )
    for number, parameter in enumerate(trainable(model).values()):
        generator = torch.Generator().manual_seed(seed + number)
        parameter.data.normal_(0, 0.05, generator=generator)
    write_adapter(model, folder)
    return folder
