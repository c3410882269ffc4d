"""A table of rules for settings that are each valid but together make a pointless run.

`estimate`, `launch`, `train` and `doctor` apply it before anything is rented. Rules that need
neither data nor model work without them. Impossible settings are refused elsewhere: a batch larger
than the data (`fintts_cost.training.schedule`), a hold-out that leaves nothing to train on or to
validate (`data.check.split`), a budget that ends before the first step (`fintts_cost.plan.launch`).
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING

from fintts_cli.errors import UsageProblem

if TYPE_CHECKING:
    from collections.abc import Callable

    from fintts_cli.settings.facts import Facts

TRIAL_STEPS = 10
"""the default warm-up: a run this short is a trial"""
LARGEST_GAIN = {
    "val/loss": 20.0,
    "train/loss": 20.0,
    "val/top5_accuracy": 1.0,
    "eval/cer": 20.0,
    "eval/similarity": 1.0,
    "eval/dnsmos": 4.0,
}
"""a monitored value cannot improve by more: a loss starts near ln(vocabulary), 12 for 155,776, and
a voice that goes on after its sentence has a CER beyond 1"""
HIGH_RATE, ABSURD_RATE = 0.1, 1.0
"""for Adam; LoRA uses 1e-5 to 1e-3 (Hu et al. 2021)"""
LEAST_MOVE = 1e-6
"""how far Adam must be able to move a number in the whole run; float32's steps near 1 are no
smaller"""
TINY_NORM = 1e-7
"""for a gradient's norm: Adam divides by the gradient's size plus 1e-8"""
HIGH_DROPOUT = 0.9
HIGH_SCALE = 100.0
MANY_EPOCHS = 1_000
HALF = 0.5
MOST_MEASURED_SECONDS = 30.0
"""of a sample: Whisper hears no more"""


@dataclass(frozen=True, slots=True)
class Rule:
    """One row: when the rule holds, what it says, and whether it refuses the run."""

    name: str
    refuses: bool
    holds: Callable[[Facts], bool]
    sentence: str
    """with fields of Facts and sections of the settings in braces"""
    hint: str


RULES: tuple[Rule, ...] = (
    Rule(
        "a long warm-up that outlasts the run",
        True,
        lambda f: f.settings.training.warmup_steps >= max(f.max_steps, TRIAL_STEPS + 1),
        "training.warmup_steps is {t.warmup_steps:,} and training.max_steps "
        "{t.max_steps:,}: the run would end before it reaches its learning rate",
        "set training.warmup_steps to a small part of training.max_steps, or to 0",
    ),
    Rule(
        "a trial that is all warm-up",
        False,
        lambda f: f.max_steps <= f.settings.training.warmup_steps <= TRIAL_STEPS,
        "training.warmup_steps is {t.warmup_steps:,} and training.max_steps "
        "{t.max_steps:,}: the learning rate stays below {f.reached_rate:.2g}",
        "set training.warmup_steps to less than training.max_steps, or to 0",
    ),
    Rule(
        "nothing moves",
        True,
        lambda f: f.most_move < LEAST_MOVE,
        "training.learning_rate is {t.learning_rate:g}: in {t.max_steps:,} steps no weight of the "
        "adapter can move by more than about {f.most_move:.2g}, so it learns nothing",
        "0.00001 to 0.001 is usual for LoRA",
    ),
    Rule(
        "an absurd learning rate",
        True,
        lambda f: f.settings.training.learning_rate >= ABSURD_RATE,
        "training.learning_rate is {t.learning_rate:g}: the first steps would destroy the adapter",
        "0.00001 to 0.001 is usual for LoRA",
    ),
    Rule(
        "a high learning rate",
        False,
        lambda f: HIGH_RATE <= f.settings.training.learning_rate < ABSURD_RATE,
        "training.learning_rate is {t.learning_rate:g}, a hundred times what is usual for LoRA",
        "0.00001 to 0.001 is usual for LoRA",
    ),
    Rule(
        "clipped to nothing",
        True,
        lambda f: f.settings.training.max_grad_norm < TINY_NORM,
        "training.max_grad_norm is {t.max_grad_norm:g}: such small gradients train nothing",
        "1.0 is usual",
    ),
    Rule(
        "no gain can count",
        True,
        lambda f: (
            f.settings.early_stopping.enabled
            and f.settings.early_stopping.min_delta
            >= LARGEST_GAIN[f.settings.early_stopping.monitor]
        ),
        "early_stopping.min_delta is {e.min_delta:g}, and {e.monitor} never improves that "
        "much, so the run would stop as soon as its patience allows",
        "0 counts every improvement; 0.01 is a large one",
    ),
    Rule(
        "a monitor without its model",
        True,
        lambda f: f.settings.early_stopping.watches_samples and not f.is_measured,
        "early_stopping.monitor is {e.monitor}, which is measured on samples with {f.measured_by}",
        "set samples.held_out, and the model in `eval`",
    ),
    Rule(
        "a monitor without a value at each check",
        True,
        lambda f: f.settings.early_stopping.watches_samples and f.settings.samples.every > 1,
        "early_stopping.monitor is {e.monitor}, but samples.every is {p.every:,}: the checks "
        "between two samples have no value",
        "set samples.every to 1, and validation.every as often as the run shall speak",
    ),
    Rule(
        "a sample that is too long to measure",
        True,
        lambda f: (
            f.settings.samples.is_on
            and bool(f.settings.eval.kinds)
            and f.settings.samples.max_seconds > MOST_MEASURED_SECONDS
        ),
        "samples.max_seconds is {p.max_seconds:g}, and `eval` measures at most 30 seconds",
        "set samples.max_seconds to at most 30",
    ),
    Rule(
        "a model that measures nothing",
        False,
        lambda f: bool(f.settings.eval.kinds) and not f.settings.samples.is_on,
        "{f.measuring} would measure samples, but the run speaks none",
        "set samples.held_out or samples.texts",
    ),
    Rule(
        "no check",
        False,
        lambda f: not f.has_checks,
        "validation.every is {v.every:,} and training.max_steps {t.max_steps:,}: the run "
        "would have no validation check, so no best checkpoint and no early stopping",
        "set validation.every to at most training.max_steps",
    ),
    Rule(
        "early stopping that cannot fire",
        False,
        lambda f: (
            f.settings.early_stopping.enabled and f.has_checks and f.earliest_stop >= f.max_steps
        ),
        "early_stopping.patience is {e.patience:,} and validation.every {v.every:,}: early "
        "stopping can end the run at step {f.earliest_stop:,} at the earliest, and "
        "training.max_steps is {t.max_steps:,}",
        "lower early_stopping.patience or validation.every, or set early_stopping.enabled to false",
    ),
    Rule(
        "early stopping within the warm-up",
        False,
        lambda f: (
            f.settings.early_stopping.enabled
            and f.earliest_stop <= f.settings.training.warmup_steps < f.max_steps
        ),
        "early_stopping can end the run at step {f.earliest_stop:,}, before the warm-up of "
        "{t.warmup_steps:,} steps is over",
        "shorten training.warmup_steps, or raise early_stopping.patience",
    ),
    Rule(
        "one checkpoint, at the end",
        False,
        lambda f: f.settings.checkpoints.every > f.max_steps,
        "checkpoints.every is {c.every:,} and training.max_steps {t.max_steps:,}: there "
        "would be no checkpoint to resume from before the end",
        "set checkpoints.every to a fraction of training.max_steps",
    ),
    Rule(
        "the best is rotated away",
        False,
        lambda f: f.settings.early_stopping.enabled and f.has_checks and f.loses_best,
        "checkpoints.keep_best is false, and the last {c.keep_last:,} no longer include the "
        "best one when early stopping ends the run",
        "set checkpoints.keep_best to true, or raise checkpoints.keep_last",
    ),
    Rule(
        "more held out than trained on",
        False,
        lambda f: f.settings.validation.fraction > HALF,
        "validation.fraction is {v.fraction:g}: more utterances are held out than trained on",
        "0.1 is usual",
    ),
    Rule(
        "the same data for ever",
        False,
        lambda f: (
            f.epochs > MANY_EPOCHS
            and not (f.settings.early_stopping.enabled and f.earliest_stop < f.max_steps)
        ),
        "training.max_steps is {t.max_steps:,}: each of {f.samples:,} utterances is read "
        "{f.epochs:,.0f} times, and nothing ends the run earlier",
        "lower training.max_steps, or let early_stopping end the run",
    ),
    Rule(
        "a dropout that leaves nothing",
        False,
        lambda f: f.settings.lora.dropout >= HIGH_DROPOUT,
        "lora.dropout is {l.dropout:g}: hardly any signal reaches the adapter",
        "0 to 0.1 is usual",
    ),
    Rule(
        "a huge scale",
        False,
        lambda f: f.scale > HIGH_SCALE,
        "lora.alpha is {l.alpha:,} and lora.rank {l.rank:,}: the adapter's output "
        "is scaled by {f.scale:,.0f}",
        "an alpha of one or two times the rank is usual",
    ),
    Rule(
        "a rank above the model's width",
        False,
        lambda f: f.width is not None and f.settings.lora.rank > f.width,
        "lora.rank is {l.rank:,}, but an adapted matrix is only {f.width} wide: a larger "
        "rank has no benefit",
        "8 to 64 is usual",
    ),
    Rule(
        "spot on this machine",
        False,
        lambda f: f.settings.is_local and f.settings.spot,
        "spot is true and infra is local: nothing is rented, so spot has no effect",
        "leave spot out, or set infra to a cloud",
    ),
    Rule(
        "an image on this machine",
        False,
        lambda f: f.settings.is_local and f.settings.image is not None,
        "image is set and infra is local: nothing is rented, so image has no effect",
        "leave image out, or set infra to a cloud",
    ),
    Rule(
        "a budget where nothing costs",
        False,
        lambda f: f.settings.budget_usd is not None and f.settings.hourly_rate_usd == Decimal(0),
        "budget_usd is {s.budget_usd} and hourly_rate_usd 0: without costs, a budget has no effect",
        "leave hourly_rate_usd out to use the cheapest offer",
    ),
)


def refuse_senseless(facts: Facts) -> tuple[str, ...]:
    """Warnings about these settings, each with a fix.

    Raises:
        UsageProblem: a rule refuses the run; the message includes every rule that does.
    """
    held = [rule for rule in RULES if rule.holds(facts)]
    refusing = [rule for rule in held if rule.refuses]
    if refusing:
        raise UsageProblem("; ".join(in_words(rule, facts) for rule in refusing), refusing[0].hint)
    return tuple(f"{in_words(rule, facts)}; {rule.hint}" for rule in held)


def in_words(rule: Rule, facts: Facts) -> str:
    """The rule's sentence filled in from these settings."""
    one = facts.settings
    return rule.sentence.format(
        f=facts,
        s=one,
        t=one.training,
        v=one.validation,
        e=one.early_stopping,
        c=one.checkpoints,
        l=one.lora,
        p=one.samples,
    )
