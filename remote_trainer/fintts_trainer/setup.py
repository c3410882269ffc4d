"""The bench of a run: model, data and rules, and the state from which it starts or goes on."""

from __future__ import annotations

import os
import shutil
import time
from collections import deque
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Literal

import torch

from fintts_cost.early_stopping import EarlyStopping
from fintts_cost.forecast import EtaMeter
from fintts_cost.schedule import Schedule
from fintts_inputs.base_model.adapter import (
    BASE_DIGEST,
    PROMPT,
    check_initial_adapter,
    of_other_prompt,
)
from fintts_inputs.base_model.shape import FISH, ModelShape
from fintts_inputs.data.pack import read_pack
from fintts_inputs.prompts import of_another_prompt, prompt_begun_with
from fintts_store.checkpoints.going_on import restore_to_go_on
from fintts_store.checkpoints.manifest import of_another_base_model
from fintts_store.checkpoints.restore import restore
from fintts_store.retrying import insist
from fintts_trainer.checkpoint import LoopState, copy_from_first, read_checkpoint, write_checkpoint
from fintts_trainer.data.encode import encode_utterances, encoding_key
from fintts_trainer.data.encoded import encoded_once, write_encoded
from fintts_trainer.data.feed import Feed
from fintts_trainer.data.order import Order
from fintts_trainer.evaluate import Tally, evaluate, uniform_guess
from fintts_trainer.families import open_base
from fintts_trainer.machine.allocator import keep_freed_memory
from fintts_trainer.machine.capacity import check_disk, fit_into_memory
from fintts_trainer.machine.slow_ways import left_to_peft, slow_ways
from fintts_trainer.model.compiled import compile_layers, tell_what_stays_eager
from fintts_trainer.model.fused_lora import fuse_adapted_linears
from fintts_trainer.model.lora import add_adapter, read_adapter, trainable
from fintts_trainer.model.recompute import recompute_layers
from fintts_trainer.processes.hang_limits import (
    LEAST_SECONDS,
    UNMEASURED_SECONDS,
    check_limit,
    load_limit,
    step_limit,
)
from fintts_trainer.processes.random_state import seed_of, set_random_state
from fintts_trainer.resume import refuse_another_configuration, refuse_another_prompt
from fintts_trainer.session.deadline import Pace, measured
from fintts_trainer.session.job import fetch_base_model, fetch_dataset, fetch_initial_adapter
from fintts_trainer.session.left_behind import forget, left_rows, newest_left
from fintts_trainer.session.session import FrontDesk, tell
from fintts_trainer.step_clock import StepClock, matmul_peak

if TYPE_CHECKING:
    from pathlib import Path

    from peft import PeftModel

    from fintts_inputs.config import LoraConfig, RunConfig
    from fintts_inputs.prompts import Prompt
    from fintts_store.checkpoints.manifest import Manifest
    from fintts_store.errors import StoreError
    from fintts_store.layout import CommitName
    from fintts_trainer.data.encoded import EncodedDataset
    from fintts_trainer.families.base import BaseModel
    from fintts_trainer.processes.random_state import RandomState
    from fintts_trainer.processes.world import World
    from fintts_trainer.session.session import Desk

BETAS = (0.9, 0.95)
EPSILON = 1e-5
STEPS_FOR_MEDIAN = 101


@dataclass
class Bench:
    """What the loop works with, and where the run stands."""

    desk: Desk
    world: World
    model: PeftModel
    optimizer: torch.optim.Optimizer
    feed: Feed
    schedule: Schedule
    rule: EarlyStopping
    state: LoopState
    eta: EtaMeter
    shape: ModelShape
    prompt: Prompt
    step_clock: StepClock
    peak_flops: float
    """FLOP/s that the devices can do at best, measured when the run began"""
    step_seconds: deque[float]
    """of the last steps of this process, for its watchdog"""

    @property
    def config(self) -> RunConfig:
        """The run's configuration."""
        return self.desk.config

    def evaluate(self) -> dict[str, float]:
        """The means of `Tally` over the held-out utterances, of which each process does a share."""
        batches = self.desk.progress.along(self.feed.validation())
        mine = evaluate(self.model, batches, self.world.device)
        return Tally.of_sums(self.world.add_up(mine.sums)).means()

    def tell_watchdog(self, what: Literal["training", "validation"]) -> None:
        """Another step or check begins."""
        limit = step_limit if what == "training" else check_limit
        self.desk.progress.at_step(self.state.step, self.schedule.samples_seen(self.state.step))
        checks = max(self.desk.pace.checks, default=None)
        self.desk.progress.begin(what, limit(self.step_seconds, checks), what)

    def write_checkpoint(self, folder: Path, random_states: list[RandomState]) -> None:
        """Writes the state between two steps into an empty folder.

        Args:
            random_states: of each process.
        """
        state = self.state
        state.phase_seconds = dict(self.desk.clock.seconds)
        epoch, step_in_epoch = self.schedule.position(state.step)
        position: dict[str, object] = {
            "run": self.desk.job.run,
            "step": state.step,
            "loss": state.loss,
            "epoch": epoch,
            "position": step_in_epoch * self.schedule.samples_per_step,
            "rng": random_states,
            "prompt": self.prompt,
        }
        write_checkpoint(
            folder,
            self.model,
            self.optimizer,
            state,
            self.config,
            position,
            said={BASE_DIGEST: self.desk.record.base_model.digest, PROMPT: self.prompt},
        )


def set_up(desk: Desk, world: World) -> Bench:
    """Data, base model and adapter; then the newest checkpoint, or the losses before training.

    Raises:
        InputError, TrainerError: data, base model, disk or configuration do not allow the run.
        StoreError: something could not be fetched.
    """
    with desk.clock.spend("setup"):
        bench = _build(desk, world)
        _go_on(bench)
        if isinstance(desk, FrontDesk):
            desk.clock.add(bench.state.phase_seconds)
            desk.pace.earlier = _earlier_pace(bench)
            check_disk(bench)
        desk.progress.begin("trying a step", UNMEASURED_SECONDS, "setup")
        fit_into_memory(bench)
        if bench.state.initial_validation is None:
            _look_before(bench)
        world.accelerator.init_trackers("tensorboard")
    return bench


def _build(desk: Desk, world: World) -> Bench:
    config, device = desk.config, world.device
    desk.progress.begin("fetching the base model", LEAST_SECONDS, "setup")
    base = _base_model(desk)
    dataset = _encoded(desk, base)
    feed = _feed(dataset, config, world)
    if device.type == "cpu":
        _leave_a_core()
        if not keep_freed_memory():
            desk.tell(
                "freed memory goes back to the system, which makes steps slower: this machine's "
                "C library has no switch for that"
            )
    size_bytes = sum(file.size_bytes for file in desk.record.base_model.files)
    desk.progress.begin("loading the base model", load_limit(size_bytes), "setup")
    dtype = _base_type(config, device)
    model = add_adapter(
        base.load(dtype),
        base.targets,
        config.lora,
        base_name=desk.record.base_model.name,
        seed=config.training.seed,
    )
    if desk.record.initial_adapter is not None:
        _begin_with_adapter(desk, base, model)
    longest = int(feed.dataset.lengths.max())
    left = fuse_adapted_linears(model)
    for sentence in (*left_to_peft(left), *slow_ways(device, dtype, longest)):
        desk.tell(sentence)
    if config.training.gradient_checkpointing and not recompute_layers(model):
        desk.tell("training.gradient_checkpointing is not in force: the model has no such layers")
    model.to(device)
    if config.training.compile:
        desk.tell("the layers are compiled as they are first run: that takes a minute or more")
        compile_layers(model)
        tell_what_stays_eager(partial(_say_in_status, desk))
    optimizer = torch.optim.AdamW(
        trainable(model).values(),
        lr=config.training.learning_rate,
        betas=BETAS,
        eps=EPSILON,
        weight_decay=0.0,
    )
    adapted = sum(p.numel() for p in trainable(model).values())
    desk.tell(
        f"{len(feed.training):,} utterances to train on, {len(feed.held_out):,} held out; "
        f"adapter of {adapted:,} parameters{_beside_reference(base.shape, config.lora)} "
        f"on {base.shape.parameters:,} frozen ones; "
        f"{_where(world)}"
    )
    guess = uniform_guess(base.shape.vocab_size, base.shape.code_choices)
    desk.tell(f"a uniform guess has loss {guess['loss']:.3f}")
    return Bench(
        desk=desk,
        world=world,
        model=model,
        optimizer=optimizer,
        feed=feed,
        schedule=schedule_of(config, len(feed.training)),
        rule=rule_of(config),
        state=LoopState(),
        eta=EtaMeter(),
        shape=base.shape,
        prompt=base.prompt,
        step_clock=StepClock(device),
        step_seconds=deque(maxlen=STEPS_FOR_MEDIAN),
        peak_flops=_peak_of(desk, world, dtype),
    )


def _base_model(desk: Desk) -> BaseModel:
    """With the prompt that the run was begun with."""
    folder = fetch_base_model(desk.job, desk.record, desk.progress.sign)
    served = ModelShape.read(folder).prompt
    begun = prompt_begun_with(desk.record.prompt, served)
    if (sentence := of_another_prompt(begun, served)) is not None:
        desk.tell(sentence)
    return open_base(folder, begun)


def _begin_with_adapter(desk: Desk, base: BaseModel, model: PeftModel) -> None:
    """The weights of another run's adapter, or of one that was imported, instead of B = 0."""
    folder = fetch_initial_adapter(desk.job, desk.record, desk.progress.sign)
    check_initial_adapter(folder, base.shape, desk.config.lora)
    if (sentence := of_other_prompt(folder, base.prompt)) is not None:
        desk.tell(sentence)
    read_adapter(model, folder)


def _say_in_status(desk: Desk, sentence: str) -> None:
    """In the log, and where `ps` and `watch` look."""
    desk.tell(sentence)
    desk.change_status(message=sentence)


def _where(world: World) -> str:
    """What the run trains on."""
    return str(world.device) if world.size == 1 else f"{world.size} × {world.device.type}"


def _peak_of(desk: Desk, world: World, dtype: torch.dtype) -> float:
    """Of all devices together; they are measured at the same time, as they will work."""
    peaks = world.collected(matmul_peak(world.device, dtype))
    desk.tell(f"large matrix products run at {sum(peaks) / 1e12:.3g} TFLOP/s here ({dtype})")
    return sum(peaks)


def _beside_reference(shape: ModelShape, lora: LoraConfig) -> str:
    """What Fish Speech's own trainer would count, to whom this number looks wrong."""
    fused = shape.fused_lora_parameters(lora.rank, lora.targets)
    return (
        f" ({fused:,} with the reference trainer's fused matrices)" if shape.family == FISH else ""
    )


def _leave_a_core() -> None:
    """One thread fewer than cores, unless OMP_NUM_THREADS says otherwise.

    OpenMP's threads spin while they wait for each other: a team that has to share one core with
    the uploader or a terminal ran 7 times slower than a team that leaves that core alone.
    """
    if "OMP_NUM_THREADS" not in os.environ:
        torch.set_num_threads(max(1, (os.cpu_count() or 2) - 1))


def schedule_of(config: RunConfig, samples: int) -> Schedule:
    """The schedule that the estimate was made with."""
    return Schedule(
        samples=samples,
        batch_size=config.training.batch_size,
        gradient_accumulation=config.training.gradient_accumulation,
        max_steps=config.training.max_steps,
        validation_every=config.validation.every,
        checkpoint_every=config.checkpoints.every,
    )


def rule_of(config: RunConfig) -> EarlyStopping:
    """The rule that finds the best step, and stops the run if it is enabled."""
    stopping = config.early_stopping
    return EarlyStopping(
        mode=stopping.mode, patience=stopping.patience, min_delta=stopping.min_delta
    )


def _encoded(desk: Desk, base: BaseModel) -> EncodedDataset:
    """The utterances as this base model reads them; encoded unless an earlier job has done it."""
    record, workspace = desk.record, desk.job.workspace

    def write(path: Path) -> None:
        desk.progress.begin("fetching the data", LEAST_SECONDS, "setup")
        pack = read_pack(fetch_dataset(desk.job, record, desk.progress.sign))
        desk.progress.begin("encoding the data", LEAST_SECONDS, "setup")
        started, everything = time.monotonic(), desk.progress.along(range(len(pack)))
        names = map(pack.name, range(len(pack)))
        examples = encode_utterances(base, pack, everything)
        write_encoded(path, zip(names, examples, strict=True), len(pack))
        desk.tell(f"{len(pack):,} utterances encoded in {time.monotonic() - started:.1f} s")

    return encoded_once(workspace / "encoded", encoding_key(record), write)


def _feed(dataset: EncodedDataset, config: RunConfig, world: World) -> Feed:
    training, held_out = dataset.split(config.validation.fraction)
    lengths = dataset.lengths[training] if config.training.bucketing else None
    schedule = schedule_of(config, len(training))
    return Feed(
        dataset=dataset,
        training=training,
        held_out=held_out,
        order=Order(schedule, config.training.seed, lengths),
        config=config.training,
        rank=world.rank,
        world=world.size,
        device=world.device,
    )


def _base_type(config: RunConfig, device: torch.device) -> torch.dtype:
    wanted = config.training.precision
    if wanted == "auto":
        return torch.float32 if device.type == "cpu" else torch.bfloat16
    return torch.float32 if wanted == "fp32" else torch.bfloat16


def _go_on(bench: Bench) -> None:
    """Brings every process to where the newest whole checkpoint left the run, if there is one."""
    desk, world = bench.desk, bench.world
    random_states: list[RandomState] = []
    limit_seconds = desk.job.patience_seconds + LEAST_SECONDS
    desk.progress.begin("fetching the checkpoint to go on from", limit_seconds, "setup")
    if isinstance(desk, FrontDesk):
        random_states = _resume(bench, desk)
    bench.state = world.from_first(bench.state)
    random_states = world.from_first(random_states)
    copy_from_first(world, bench.model, bench.optimizer)
    if len(random_states) == world.size:
        set_random_state(random_states[world.rank])
    else:  # a first start, or another number of processes: no two may drop the same
        torch.manual_seed(seed_of(bench.config.training.seed, bench.state.step, world.rank))


def _resume(bench: Bench, desk: FrontDesk) -> list[RandomState]:
    """Goes on from the newest checkpoint that is whole; the random states of its processes."""
    job = desk.job
    target = job.workspace / "resumed"
    shutil.rmtree(target, ignore_errors=True)
    manifest = restore_to_go_on(
        job.store,
        job.run,
        desk.claim,
        target,
        on_skip=_say_skipped,
        committed_step=desk.committed_before,
        patience_seconds=job.patience_seconds,
        on_bytes=desk.progress.sign,
    )
    manifest = _take_up(desk, manifest, target)
    if manifest is None:
        return []
    refuse_another_configuration(desk, manifest, target)
    if manifest.base_model_digest != desk.record.base_model.digest:
        raise of_another_base_model(manifest)
    refuse_another_prompt(bench.prompt, manifest, target)
    bench.state, random_states = read_checkpoint(target, bench.model, bench.optimizer)
    desk.committer.resume_point = manifest.id
    desk.heartbeat.change(resume_point=manifest.id)
    tell(f"resumed at step {bench.state.step}")
    return random_states


def _earlier_pace(bench: Bench) -> Pace:
    """What a step and a check took the jobs before this one, on average."""
    state, schedule = bench.state, bench.schedule
    checks = schedule.validation_checks(state.step)
    training, validation = (state.phase_seconds.get(p, 0.0) for p in ("training", "validation"))
    return Pace(
        step=training / state.step if state.step else None,
        check=validation / checks if checks else None,
    )


def _take_up(desk: FrontDesk, committed: Manifest | None, target: Path) -> Manifest | None:
    """What an earlier job could not bring into the store, if it is on this disk and newer than
    what is there; else what is there."""
    job = desk.job
    step = 0 if committed is None else committed.step
    found = newest_left(job.workspace, desk.record, desk.config.digest(), step)
    if found is None:
        return committed
    folder, facts = found
    tell(f"step {facts.step} is on this disk and not in the store yet: it is uploaded now")
    desk.metrics.take_up(left_rows(folder))
    # First what the steps told: nobody who goes on from the checkpoint tells it again.
    insist(desk.metrics.flush, job.patience_seconds)
    manifest = insist(lambda: desk.committer.commit(folder, facts), job.patience_seconds)
    restore(job.store, manifest, target)
    forget(job.workspace, manifest.step)
    return manifest


def _say_skipped(name: CommitName, error: StoreError) -> None:
    tell(f"the checkpoint at step {name.step} is passed over: {error.message}")


def _look_before(bench: Bench) -> None:
    """The validation loss of what the run begins with: what training has to beat."""
    bench.desk.progress.begin("looking before training", UNMEASURED_SECONDS, "setup")
    with measured(bench.desk.pace.checks):
        means = bench.evaluate()
    bench.state.initial_validation = means
    bench.desk.add_metrics(0, "validation", means)
    bench.desk.tell(
        f"before training: validation loss {means['loss']:.4f}, "
        f"top-5 accuracy {means['top5_accuracy']:.3f}"
    )
