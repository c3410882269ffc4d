"""Options that several commands share, each declared once."""

import re
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Annotated

import typer

AMOUNT = re.compile(r"\$?(-?([0-9]{1,12}(\.[0-9]{0,20})?|\.[0-9]{1,20})([eE][-+]?[0-9]{1,2})?)")
SHOWN_CHARACTERS = 40


def _dollars(text: str) -> Decimal:
    found = AMOUNT.fullmatch(text.strip())
    if found is None or Decimal(found[1]) < 0:
        shown = repr(text[:SHOWN_CHARACTERS])
        raise typer.BadParameter(f"{shown} is no amount in dollars, such as 1.20")
    return abs(Decimal(found[1]))


Config = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE", help="Project file; without it fintts.yaml, here or in a folder above."
    ),
]
BaseModel = Annotated[
    Path | None, typer.Option(metavar="DIR", help="Whose codebooks the codes have to fit.")
]
Gpus = Annotated[
    str | None,
    typer.Option(
        metavar="NAME[:N][,…]", help="Accelerator, such as A100-80GB; of several the cheapest run."
    ),
]
Infra = Annotated[
    str | None,
    typer.Option(metavar="local|CLOUD[/REGION[/ZONE]]", help="Where the task runs."),
]
Store = Annotated[
    str | None,
    typer.Option(metavar="DIR|s3://BUCKET/PREFIX", help="Where data, runs and checkpoints lie."),
]
S3EndpointUrl = Annotated[
    str | None,
    typer.Option(metavar="URL", help="The server of an s3:// store that is not AWS."),
]
SingleWriter = Annotated[
    bool | None,
    typer.Option(
        "--single-writer",
        help="Use a store that cannot keep two writers apart: you alone write to it.",
        show_default=False,
    ),
]
Spot = Annotated[
    bool | None, typer.Option("--spot/--on-demand", help="How the instance is rented.")
]
Budget = Annotated[
    Decimal | None,
    typer.Option(metavar="USD", parser=_dollars, help="The most that the run may cost."),
]
HourlyRate = Annotated[
    Decimal | None,
    typer.Option(
        metavar="USD", parser=_dollars, help="What an hour costs; without it the cheapest offer's."
    ),
]
Name = Annotated[str | None, typer.Option(metavar="NAME", help="The run's name: [a-z0-9-]{1,40}.")]
Force = Annotated[
    bool,
    typer.Option("--force", help="Go on with a changed configuration, where that is safe."),
]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]
Detach = Annotated[bool, typer.Option("--detach", "-d", help="Do not follow the run.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Only data, warnings and errors.")]
NoInput = Annotated[bool, typer.Option("--no-input", help="Never ask; fail where one would.")]
Run = Annotated[
    str | None, typer.Argument(metavar="RUN", help="The newest one without it.", show_default=False)
]

# What a run is made of. `estimate`, `launch` and `train` take the same options, so that you can
# launch what you have estimated.
BatchSize = Annotated[int | None, typer.Option(metavar="N", help="Utterances in a micro-batch.")]
GradientAccumulation = Annotated[
    int | None, typer.Option(metavar="N", help="Micro-batches in a step.")
]
MaxSteps = Annotated[int | None, typer.Option(metavar="N", help="The last step.")]
ValidationEvery = Annotated[
    int | None, typer.Option(metavar="N", help="Steps between validation checks.")
]
CheckpointEvery = Annotated[
    int | None, typer.Option(metavar="N", help="Steps between checkpoints.")
]
KeepLast = Annotated[int | None, typer.Option(metavar="N", help="Checkpoints that stay.")]
Patience = Annotated[
    int | None, typer.Option(metavar="N", help="Checks without improvement before it stops.")
]
# What you know better than the forecast.
Steps = Annotated[
    int | None, typer.Option(metavar="N", help="The step at which you expect it to stop.")
]
SecondsPerStep = Annotated[
    float | None,
    typer.Option(metavar="S", help="Seconds of one step; without it measured or forecast."),
]
SecondsPerValidation = Annotated[
    float | None, typer.Option(metavar="S", help="Seconds of one validation check.")
]
CheckpointBytes = Annotated[int | None, typer.Option(metavar="N", help="Bytes of one checkpoint.")]
SetupSeconds = Annotated[
    float | None, typer.Option(metavar="S", help="Seconds before the first step.")
]
TeardownSeconds = Annotated[
    float | None, typer.Option(metavar="S", help="Seconds after the last step.")
]

KEYS = {
    "batch_size": "training.batch_size",
    "gradient_accumulation": "training.gradient_accumulation",
    "max_steps": "training.max_steps",
    "validation_every": "validation.every",
    "checkpoint_every": "checkpoints.every",
    "keep_last": "checkpoints.keep_last",
    "patience": "early_stopping.patience",
    "steps": "forecast.stop_step",
    "seconds_per_step": "forecast.seconds_per_step",
    "seconds_per_validation": "forecast.seconds_per_validation",
    "checkpoint_bytes": "forecast.checkpoint_bytes",
    "setup_seconds": "forecast.setup_seconds",
    "teardown_seconds": "forecast.teardown_seconds",
    "hourly_rate_usd": "hourly_rate_usd",
}
"""Parameter of a command → its key in fintts.yaml, where the two differ or an option sets it."""


def keyed(options: Mapping[str, object]) -> dict[str, object]:
    """The same values under their keys in fintts.yaml; a name without another key stays."""
    return {KEYS.get(name, name): value for name, value in options.items()}
