"""The values that the loop works with, and the state of the run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from fintts_inputs.base_model.adapter import BASE_DIGEST, PROMPT
from fintts_trainer.checkpoint import write_checkpoint
from fintts_trainer.loop.evaluate import Tally, evaluate
from fintts_trainer.processes.hang_limits import check_limit, step_limit
from fintts_trainer.session.session import StoreSession

if TYPE_CHECKING:
    from collections import deque
    from pathlib import Path

    from peft import PeftModel

    from fintts_cost.pace.eta import EtaMeter
    from fintts_cost.training.early_stopping import EarlyStopping
    from fintts_cost.training.schedule import Schedule
    from fintts_inputs.base_model.shape import ModelShape
    from fintts_inputs.config import RunConfig
    from fintts_inputs.prompts import Prompt
    from fintts_store.runs.records import StopForecast
    from fintts_trainer.checkpoint import LoopState
    from fintts_trainer.data.feed import Feed
    from fintts_trainer.forecast.forecaster import Forecaster
    from fintts_trainer.forecast.replanner import Replanner
    from fintts_trainer.loop.step_clock import StepClock
    from fintts_trainer.loop.step_queue import StepQueue
    from fintts_trainer.machine.gpu_meter import GpuMeter
    from fintts_trainer.model.flat_adapter import FlatAdapter
    from fintts_trainer.processes.random_state import RandomState
    from fintts_trainer.processes.world import World
    from fintts_trainer.samples.samples import Samples
    from fintts_trainer.session.session import Session


@dataclass
class Training:
    """A run that is set up: model, data and rules, and the state that the loop changes."""

    session: Session
    world: World
    model: PeftModel
    adapter: FlatAdapter
    feed: Feed
    schedule: Schedule
    rule: EarlyStopping
    state: LoopState
    eta: EtaMeter
    shape: ModelShape
    prompt: Prompt
    step_clock: StepClock
    peak_flops: float
    """peak FLOP/s of the devices, measured at the start of the run"""
    gpu_meter: GpuMeter
    is_compiled: bool
    """whether torch compiles the layers when they first run"""
    queue: StepQueue
    step_seconds: deque[float]
    """of the last steps of this process, for its watchdog"""
    forecaster: Forecaster | None = None
    """of the process that writes to the store, if the run may stop early"""
    replanner: Replanner | None = None
    """likewise of the process that writes to the store"""
    samples: Samples | None = None
    """likewise, if the run speaks"""
    overrun: str | None = None
    """why the deadline comes too soon for a useful run, once that is known"""

    def forecast_stop(self) -> None:
        """Forecasts from the checks so far when early stopping will end the run."""
        state = self.state
        if self.forecaster is not None:
            self.forecaster.look(state.early_stopping, state.monitored, state.step)

    def stop_forecast(self) -> StopForecast | None:
        """The newest forecast, for status.json."""
        if self.forecaster is None:
            return None
        return self.forecaster.told(self.eta, self.state.step)

    def note_step(self, tokens: int, seconds: float) -> None:
        """Adds a measured step; plans the rest of the run once that can be done."""
        session, planner = self.session, self.replanner
        if planner is None or not isinstance(session, StoreSession):
            return
        planner.after_step(tokens, seconds)
        speaking = self.speaking_seconds
        checks = [seconds + speaking for seconds in session.pace.known_checks]
        measured = checks, list(session.pace.saves)
        if not planner.is_due(*measured):
            return
        planner.plan(
            self.state.step,
            checks=measured[0],
            saves=measured[1],
            uploads=list(session.pace.uploads),
            spent=dict(session.clock.seconds),
            now=session.wall_clock.now(),
            usable_seconds=session.usable_seconds(),
            speaking_seconds=speaking,
        )
        session.change_status(replan=planner.newest)
        if self.overrun is None and planner.overrun is not None:
            self.overrun = planner.overrun
            session.change_status(message=self.overrun)
            session.log(self.overrun)

    @property
    def speaking_seconds(self) -> float:
        """What speaking adds to a check, on average."""
        return 0.0 if self.samples is None else self.samples.seconds_per_check

    @property
    def gives_up(self) -> bool:
        """Whether the run ends because its deadline comes too soon."""
        return self.overrun is not None and self.config.replan.on_overrun == "stop"

    @property
    def config(self) -> RunConfig:
        """The run's configuration."""
        return self.session.config

    @property
    def is_deaf(self) -> bool:
        """Whether early stopping has had no value for as many checks as it has patience: nothing
        would end the run before its last step."""
        stopping = self.config.early_stopping
        return stopping.enabled and self.state.unheard_checks >= stopping.patience

    def evaluate(self) -> dict[str, float]:
        """The means of `Tally` over the held-out utterances; each process computes a share."""
        batches = self.session.progress.with_signs(self.feed.validation())
        mine = evaluate(self.model, batches, self.world.device)
        return Tally.of_sums(self.world.add_up(mine.sums)).means()

    def report_to_watchdog(self, what: Literal["training", "validation"]) -> None:
        """Reports a new step or check."""
        limit = step_limit if what == "training" else check_limit
        self.session.progress.at_step(self.state.step, self.schedule.samples_seen(self.state.step))
        checks = max(self.session.pace.checks, default=None)
        self.session.progress.begin(what, limit(self.step_seconds, checks), what)

    def write_checkpoint(self, folder: Path, random_states: list[RandomState]) -> None:
        """Writes the state between two steps into an empty folder.

        Args:
            random_states: of each process.
        """
        state = self.state
        state.phase_seconds = dict(self.session.clock.seconds)
        epoch, step_in_epoch = self.schedule.position(state.step)
        position: dict[str, object] = {
            "run": self.session.job.run,
            "step": state.step,
            "loss": state.loss,
            "epoch": epoch,
            "position": step_in_epoch * self.schedule.samples_per_step,
            "rng": random_states,
            "prompt": self.prompt.name,
        }
        write_checkpoint(
            folder,
            self.model,
            self.adapter,
            state,
            self.config,
            position,
            metadata={BASE_DIGEST: self.session.record.base_model.digest, PROMPT: self.prompt.name},
        )
