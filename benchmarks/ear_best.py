"""Shows which step each monitor keeps when a run overfits on purpose.

    python benchmarks/ear_best.py [--example DIR] [--steps N] [--every N] [--utterances N]
                                  [--asr FOLDER] [--models DIR]

Trains on a few utterances of an example with a codec beside its base model, at a learning rate that
overfits, and never stops early. Then it applies the rule to the values of each monitor: the best
step is the checkpoint that a run with this monitor keeps, and the last column is where it stops.
eval/cer needs the folder of a speech recogniser; `make servers` brings the other models.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, get_args

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tests" / "support"))

from fintts_cli.runs.status.checks import PLACE_OF, points_of  # noqa: E402
from fintts_cost.training.early_stopping import EarlyStopping  # noqa: E402
from fintts_inputs.config import HIGHER_IS_BETTER, Monitor  # noqa: E402
from fintts_inputs.data.pairs import find_pairs  # noqa: E402
from fintts_store.runs.metrics import read_metrics  # noqa: E402
from fintts_trainer.session.preemption import Preemption  # noqa: E402
from fintts_trainer.train import train  # noqa: E402
from tiny_run import start_run  # noqa: E402

if TYPE_CHECKING:
    from fintts_cli.runs.status.checks import Points
    from fintts_store.runs.records import MetricRow

KALEVALA = ROOT / "examples" / "kalevala"
MODELS = ROOT / ".test-servers" / "eval-models"
PATIENCE = 5
"""checks, as by default"""


@dataclass(frozen=True, slots=True)
class Kept:
    """What a monitor keeps.

    Attributes:
        first: its value at the first check.
        stop: the step at which the rule ends the run; None if it does not.
    """

    monitor: str
    first: float
    best: float
    best_step: int
    last: float
    stop: int | None


def kept_by(monitor: Monitor, values: Points) -> Kept | None:
    """The rule on the values of a run that never stopped; None without any."""
    rule = EarlyStopping("max" if monitor in HIGHER_IS_BETTER else "min", PATIENCE)
    progress, stop = rule.start(), None
    for step, value in values:
        progress = rule.check(progress, step, value)
        if stop is None and rule.should_stop(progress):
            stop = step
    if progress.best_step is None or progress.best_value is None:
        return None
    first, last = values[0][1], values[-1][1]
    return Kept(monitor, first, progress.best_value, progress.best_step, last, stop)


def some_pairs(source: Path, target: Path, count: int) -> None:
    """The first utterances of a folder."""
    target.mkdir(parents=True)
    for paths in list(find_pairs(source).values())[:count]:
        for path in paths:
            shutil.copy(path, target)


def overfitted(given: argparse.Namespace, folder: Path) -> list[MetricRow]:
    """Trains the run to its last step; its metrics."""
    some_pairs(given.example / "data", folder / "speech", given.utterances)
    measured = {
        "speaker_encoder": given.models / "resemblyzer" / "pretrained.pt",
        "dnsmos": given.models / "speechmos" / "dnsmos_models" / "sig_bak_ovr.onnx",
        "asr": given.asr,
    }
    base = given.example / "base_model"
    run = start_run(
        folder,
        {
            "training": {
                "batch_size": 8,
                "max_steps": given.steps,
                "learning_rate": given.learning_rate,
            },
            "validation": {"every": given.every, "fraction": 0.2},
            "checkpoints": {"every": given.steps, "keep_last": 1, "keep_best": False},
            "early_stopping": {"enabled": False},
            "samples": {"held_out": 3, "max_seconds": 6, "seconds_a_check": 240},
            "eval": {kind: path and str(path) for kind, path in measured.items()},
        },
        base=base,
        codec=base,
    )
    if train(run.job(), Preemption()) is None:
        raise SystemExit("the run was interrupted")
    return read_metrics(run.store, run.name).rows


def report(rows: list[MetricRow], found: list[Kept]) -> None:
    """Every check, then what each monitor keeps."""
    steps = sorted({row.step for row in rows if row.kind == "validation"})
    columns = {one.monitor: dict(points_of(rows, *PLACE_OF[one.monitor])) for one in found}
    print(f"{'step':>6}" + "".join(f"{name:>20}" for name in columns))
    for step in steps:
        values = [column.get(step) for column in columns.values()]
        print(f"{step:6}" + "".join(f"{'':>20}" if v is None else f"{v:20.4f}" for v in values))
    print(f"\n{'monitor':20}{'first':>10}{'best':>10}{'at step':>10}{'last':>10}{'stops at':>10}")
    for one in found:
        stop = "–" if one.stop is None else str(one.stop)
        print(
            f"{one.monitor:20}{one.first:10.4f}{one.best:10.4f}{one.best_step:10}"
            f"{one.last:10.4f}{stop:>10}"
        )


def main() -> None:
    """Trains the run, and applies the rule."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--example", type=Path, default=KALEVALA)
    parser.add_argument("--models", type=Path, default=MODELS)
    parser.add_argument("--asr", type=Path)
    parser.add_argument("--steps", type=int, default=400)
    parser.add_argument("--every", type=int, default=25)
    parser.add_argument("--utterances", type=int, default=30)
    parser.add_argument("--learning-rate", type=float, default=3e-3)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        rows = overfitted(given, Path(folder))
    measured: list[Kept] = []
    for monitor in get_args(Monitor):
        values = [point for point in points_of(rows, *PLACE_OF[monitor]) if point[0] > 0]
        kept = kept_by(monitor, tuple(values)) if values else None
        measured += [] if kept is None else [kept]
    if given.json:
        print(json.dumps([asdict(one) for one in measured]))
    else:
        report(rows, measured)


if __name__ == "__main__":
    main()
