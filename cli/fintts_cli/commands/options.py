"""Options that several commands share, each declared once."""

import re
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
        raise typer.BadParameter(f"{shown} is not an amount in dollars, such as 1.20")
    return abs(Decimal(found[1]))


Config = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE", help="Project file; by default fintts.yaml, here or in a folder above."
    ),
]
BaseModel = Annotated[
    Path | None, typer.Option(metavar="DIR", help="Base model to check the codes against.")
]
Codec = Annotated[
    Path | None,
    typer.Option(metavar="PATH", help="Codec file or folder; by default beside the base model."),
]
SpokenModel = Annotated[
    Path | None,
    typer.Option(metavar="DIR", help="Base model; by default that of your settings."),
]
Seed = Annotated[
    int, typer.Option(metavar="N", min=0, max=2**31 - 1, help="Another number, another take.")
]
MaxSeconds = Annotated[
    float, typer.Option(metavar="S", min=0.1, max=600, help="Cut speech that does not end.")
]
Gpus = Annotated[
    str | None,
    typer.Option(
        metavar="NAME[:N][,…]|any|24GB+",
        help="GPU, such as A100-80GB; any that fits the run; any with at least 24 GB. Of "
        "several, the cheapest for this run.",
    ),
]
Infra = Annotated[
    str | None,
    typer.Option(metavar="local|CLOUD[/REGION[/ZONE]]", help="Where the run trains."),
]
Store = Annotated[
    str | None,
    typer.Option(metavar="DIR|s3://BUCKET/PREFIX", help="Where data, runs and checkpoints are."),
]
S3EndpointUrl = Annotated[
    str | None,
    typer.Option(metavar="URL", help="Server of an s3:// store outside AWS."),
]
SingleWriter = Annotated[
    bool | None,
    typer.Option(
        "--single-writer",
        help="Accept a store that cannot detect a second writer; only you write to it.",
        show_default=False,
    ),
]
Spot = Annotated[bool | None, typer.Option("--spot/--on-demand", help="How to rent the instance.")]
Budget = Annotated[
    Decimal | None,
    typer.Option(metavar="USD", parser=_dollars, help="Maximum cost of the run."),
]
HourlyRate = Annotated[
    Decimal | None,
    typer.Option(
        metavar="USD",
        parser=_dollars,
        help="Price of an hour; by default that of the cheapest offer.",
    ),
]
Name = Annotated[
    str | None, typer.Option(metavar="NAME", help="Name of the run, such as kalevala-2.")
]
Force = Annotated[
    bool,
    typer.Option("--force", help="Resume with a changed configuration, where that is safe."),
]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]
Detach = Annotated[bool, typer.Option("--detach", "-d", help="Do not follow the run.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Print only data, warnings and errors.")]
NoInput = Annotated[bool, typer.Option("--no-input", help="Never ask; fail instead.")]
Run = Annotated[
    str | None, typer.Argument(metavar="RUN", help="Default: the newest run.", show_default=False)
]

# The run itself. `estimate`, `launch` and `train` take the same options, so that you can launch
# what you have estimated.
BatchSize = Annotated[int | None, typer.Option(metavar="N", help="Utterances in a micro-batch.")]
GradientAccumulation = Annotated[
    int | None, typer.Option(metavar="N", help="Micro-batches in a step.")
]
MaxSteps = Annotated[int | None, typer.Option(metavar="N", help="Maximum number of steps.")]
ValidationEvery = Annotated[
    int | None, typer.Option(metavar="N", help="Steps between validation checks.")
]
CheckpointEvery = Annotated[
    int | None, typer.Option(metavar="N", help="Steps between checkpoints.")
]
KeepLast = Annotated[int | None, typer.Option(metavar="N", help="Newest checkpoints to keep.")]
Patience = Annotated[
    int | None, typer.Option(metavar="N", help="Checks without improvement before the run stops.")
]
# What you know better than the forecast.
Steps = Annotated[
    int | None, typer.Option(metavar="N", help="Step at which you expect the run to stop.")
]
SecondsPerStep = Annotated[
    float | None,
    typer.Option(metavar="S", help="Seconds of one step; by default measured or forecast."),
]
SecondsPerValidation = Annotated[
    float | None, typer.Option(metavar="S", help="Seconds of one validation check.")
]
CheckpointBytes = Annotated[int | None, typer.Option(metavar="N", help="Size of one checkpoint.")]
SetupSeconds = Annotated[
    float | None, typer.Option(metavar="S", help="Seconds before the first step.")
]
LaunchPatienceSeconds = Annotated[
    float | None,
    typer.Option(metavar="S", help="How long an instance may take to become ready."),
]
TeardownSeconds = Annotated[
    float | None, typer.Option(metavar="S", help="Seconds after the last step.")
]
