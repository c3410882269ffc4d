"""A validation check: what it measures, and what early stopping makes of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fintts_store.runs.records import Phase
from fintts_trainer.samples.in_training import watched_value
from fintts_trainer.session.session import StoreSession

if TYPE_CHECKING:
    from fintts_cost.training.early_stopping import Progress
    from fintts_inputs.config import EarlyStoppingConfig
    from fintts_trainer.loop.training import Training
    from fintts_trainer.session.preemption import Preemption


def check(training: Training, preemption: Preemption) -> float | None:
    """Measures losses and accuracy on the held-out utterances, and speaks if early stopping watches
    the samples; updates early stopping.

    Returns the monitored value of this check; None if it is missing.
    """
    session, state = training.session, training.state
    session.change_status(phase=Phase.VALIDATING)
    training.report_to_watchdog("validation")
    with session.clock.spend("validation") as spent:
        means = training.evaluate()
    training.eta = training.eta.after_check(spent.seconds + training.speaking_seconds)
    session.pace.checks.append(spent.seconds)
    train_loss = state.loss_sum / state.loss_steps
    state.loss_sum, state.loss_steps = 0.0, 0
    session.add_metrics(state.step, "validation", {**means, "train_loss": train_loss})
    named = {f"val/{name}": mean for name, mean in means.items()}
    training.world.accelerator.log(named, state.step)
    said = losses_in_words(training, means, train_loss)
    if training.config.early_stopping.watches_samples:
        session.log(said)
        return judge_samples(training, preemption)
    value = {**named, "train/loss": train_loss}[training.config.early_stopping.monitor]
    judge(training, value, said)
    return value


def judge_samples(training: Training, preemption: Preemption) -> float | None:
    """Speaks for the value that early stopping watches. Without it, the check does not count, and
    the run ends after as many in a row as its patience; if the run must end first, the next job
    speaks it."""
    state, session = training.state, training.session
    monitor = training.config.early_stopping.monitor
    value, is_interrupted = watched_value(training, preemption)
    state.unjudged_step = state.step if is_interrupted else None
    if value is None:
        session.change_status(phase=Phase.TRAINING)
        if not is_interrupted:
            state.unheard_checks += 1
            _tell_unheard(training)
        return None
    state.unheard_checks = 0
    judge(training, value, f"step {state.step}: {monitor} {value:.4f}")
    return value


def _tell_unheard(training: Training) -> None:
    """Says that a check does not count, and what follows if the next ones do not either."""
    session, stopping = training.session, training.config.early_stopping
    count = f"{training.state.unheard_checks} in a row"
    if stopping.enabled:
        count = f"{training.state.unheard_checks} of {stopping.patience} in a row that end the run"
    sentence = (
        f"step {training.state.step}: {stopping.monitor} is missing, so early stopping ignores "
        f"this check, {count}"
    )
    session.log(sentence)
    session.change_status(message=sentence)


def judge(training: Training, value: float, said: str) -> None:
    """Applies the rule to the value of a check, and tells heartbeat, user and log.

    Args:
        said: what the log says of the check, before the verdict.
    """
    session, state, rule = training.session, training.state, training.rule
    progress = rule.check(state.early_stopping, state.step, value)
    state.early_stopping = progress
    state.note_check(value)
    training.forecast_stop()
    session.change_status(
        phase=Phase.TRAINING,
        validation_value=value,
        best_step=progress.best_step,
        best_value=progress.best_value,
        checks_without_improvement=progress.checks_without_improvement,
        stop_forecast=training.stop_forecast(),
    )
    if isinstance(session, StoreSession) and progress.best_step == state.step:
        monitor = training.config.early_stopping.monitor
        session.notifications.new_best(state.step, monitor, value, session.wall_clock.now())
    verdict = check_summary(training.config.early_stopping, progress, state.step)
    session.log(f"{said}: {verdict}")


def losses_in_words(training: Training, means: dict[str, float], train_loss: float) -> str:
    """The losses and the accuracy of a check, for the log."""
    heads = ", ".join(f"{head} {means[f'{head}_loss']:.4f}" for head in training.shape.choices)
    return (
        f"step {training.state.step}: validation loss {means['loss']:.4f} ({heads}), "
        f"top-5 accuracy {means['top5_accuracy']:.3f}, training loss {train_loss:.4f}"
    )


def check_summary(config: EarlyStoppingConfig, progress: Progress, step: int) -> str:
    """The result of a validation check, as a phrase for the log."""
    count = progress.checks_without_improvement
    waiting = f"{count} of {config.patience}" if config.enabled else f"{count} in a row"
    if progress.best_step != step:
        return f"no improvement, {waiting}"
    if count == 0:
        return "the best so far"
    return f"the best so far, by no more than min_delta {config.min_delta:g}, {waiting}"
