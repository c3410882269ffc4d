"""The tables of the reference run: timeline, early stopping, losses, and use of the GPU."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fintts_cli.views.estimate.layout import hanging, number
from fintts_cli.views.units import columns
from fintts_cost.reference.run import REFERENCE_HEADS, REFERENCE_LOSSES, REFERENCE_RUN
from fintts_cost.reference.tables import examples, gpu_use, stopping_table, timeline

if TYPE_CHECKING:
    from collections.abc import Iterator


def reference_sections() -> list[tuple[str, list[str]]]:
    """Sections with a name each."""
    return [
        ("Timeline", list(_timeline())),
        ("Early stopping, check by check", list(_stopping())),
        ("Loss and probability", list(_losses())),
        ("Use of the GPU", list(_gpu())),
    ]


def _timeline() -> Iterator[str]:
    rows = [
        (
            each.clock.time().isoformat("minutes"),
            f"{each.step:,}",
            number(each.epoch),
            f"{each.loss:.3f}",
            each.checkpoint,
        )
        for each in timeline()
    ]
    yield from columns(("time", "step", "epoch", "loss", "checkpoint"), rows, "lrrrl")


def _stopping() -> Iterator[str]:
    rows = [
        (
            f"{each.step:,}{'' if each.is_measured else '*'}",
            f"{each.loss:.3f}",
            f"{each.best:.3f}",
            f"{each.waiting}",
            "stop" if each.stops else "" if each.waiting else "new best",
        )
        for each in stopping_table()
    ]
    yield from columns(("step", "loss", "best", "patience", ""), rows, "lrrrl")
    last = REFERENCE_RUN.stop_step
    yield f"* assumed by the run's user: it ended at step {last:,}"


def _losses() -> Iterator[str]:
    rows = [(each.name, f"{each.probability:.3g}", f"{each.loss:.3f}") for each in examples()]
    yield "a loss is −ln p, where p is the probability of the right class"
    yield ""
    yield from columns(("", "p", "−ln p"), rows, "lrr")
    yield ""
    first, last = REFERENCE_LOSSES[0], REFERENCE_LOSSES[REFERENCE_RUN.stop_step]
    both = sum(head.uniform_guess for head in REFERENCE_HEADS)
    heads = f"the sum of both heads went from {first:g} to {last:g}"
    yield from hanging("", f"{heads}; a uniform guess of both is {both:.2f}")


def _gpu() -> Iterator[str]:
    use, peak = gpu_use(), REFERENCE_RUN.measured_peak
    rows = [
        ("training", f"{use.training_hours:.4f} h", f"{use.training_share:.0%}"),
        ("validation", f"{use.validation_hours:.4f} h", f"{use.validation_share:.0%}"),
        ("together", f"{use.training_hours + use.validation_hours:.4f} h", f"{use.mean_share:.1%}"),
    ]
    yield from columns(("", "time", "GPU busy"), rows, "lrr")
    if peak is not None:
        yield f"memory: {peak.peak_bytes / 1e9:.0f} GB, {use.memory_share:.0%} of the GPU's"
