"""A checkpoint: all that resume needs, in files that run no code when read."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING

from safetensors.torch import load_file, save_file

from fintts_cost.training.early_stopping import Progress
from fintts_store.disk.reading import read_limited
from fintts_store.runs.limits import STATE_BYTES
from fintts_trainer.forecast.stop import MOST_REMEMBERED
from fintts_trainer.model.lora import read_adapter, write_adapter

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from peft import PeftModel

    from fintts_inputs.config import RunConfig
    from fintts_trainer.model.flat_adapter import FlatAdapter
    from fintts_trainer.processes.random_state import RandomState
    from fintts_trainer.processes.world import World

OPTIMIZER_FILE = "optimizer.safetensors"
STATE_FILE = "trainer_state.json"


@dataclass
class LoopState:
    """The state of a run between two steps. A run that resumes from it is identical."""

    step: int = 0
    early_stopping: Progress = field(default_factory=Progress.start)
    monitored: list[float | None] = field(default_factory=list[float | None])
    """the value of each check, for the forecast of early stopping; None if it was not finite. Only
    the newest; empty in a checkpoint of an earlier version"""
    initial_validation: dict[str, float] | None = None
    loss: float | None = None
    """of the last step"""
    loss_sum: float = 0.0
    """over the steps since the last validation check, for the monitor `train/loss`"""
    loss_steps: int = 0
    initial_scores: dict[str, float] | None = None
    """what was measured on the samples of base model and recordings; None if nothing yet"""
    unjudged_step: int | None = None
    """the check that an interruption kept from its value: a resumed run makes up for it"""
    unheard_checks: int = 0
    """in a row, whose value was missing although nothing interrupted them"""
    memory_tokens: int | None = None
    """the limit that memory has set on micro-batches so far; None if it has set none"""
    phase_seconds: dict[str, float] = field(default_factory=dict[str, float])

    def note_check(self, value: float) -> None:
        """Adds the monitored value of a check, and drops the oldest beyond those that count."""
        self.monitored.append(value if math.isfinite(value) else None)
        del self.monitored[:-MOST_REMEMBERED]

    def to_json(self) -> dict[str, object]:
        """Plain values; floats survive a round trip bit for bit."""
        return {**asdict(self), "early_stopping": self.early_stopping.to_dict()}

    @classmethod
    def from_json(cls, content: dict[str, object]) -> LoopState:
        """The inverse of `to_json`; ignores unknown keys, which another version wrote."""
        added: dict[str, object] = {"monitored": [], "initial_scores": None}
        content = {**added, "unjudged_step": None, "unheard_checks": 0, **content}
        known = {key: content[key] for key in cls.__dataclass_fields__}
        progress = content["early_stopping"]
        if not isinstance(progress, dict):
            raise TypeError("early_stopping is not an object")
        return cls(**{**known, "early_stopping": Progress.from_dict(progress)})  # type: ignore[arg-type] # checked when written


def write_checkpoint(
    folder: Path,
    model: PeftModel,
    adapter: FlatAdapter,
    state: LoopState,
    config: RunConfig,
    position: dict[str, object],
    *,
    metadata: Mapping[str, str],
) -> None:
    """Writes the four files of a checkpoint into an empty folder.

    Args:
        metadata: what the adapter's own file says of it.
    """
    write_adapter(model, folder, metadata)
    save_file(adapter.moments(), str(folder / OPTIMIZER_FILE))
    content = {
        "loop": state.to_json(),
        **position,
        "seed": config.training.seed,
        "learning_rate": adapter.optimizer.param_groups[0]["lr"],
        "config": config.model_dump(mode="json"),
        "config_digest": config.digest(),
    }
    (folder / STATE_FILE).write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


def read_checkpoint(
    folder: Path, model: PeftModel, adapter: FlatAdapter
) -> tuple[LoopState, list[RandomState]]:
    """Restores model and optimizer; returns the loop's state, and the random state of each
    process."""
    read_adapter(model, folder)
    adapter.refresh()
    adapter.load_moments(load_file(str(folder / OPTIMIZER_FILE)))
    content = json.loads(read_limited(folder / STATE_FILE, STATE_BYTES))
    return LoopState.from_json(content["loop"]), content["rng"]


def copy_from_first(world: World, adapter: FlatAdapter) -> None:
    """Gives every process the adapter and AdamW's moments of the first one.

    Raises:
        PeerLost: a process has ended.
    """
    world.copy_from_first([adapter.weights])
    if world.from_first(adapter.has_moments):
        world.copy_from_first(list(adapter.state().values()))
    adapter.refresh()
