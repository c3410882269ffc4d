"""Options that several commands share, each declared once."""

from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Annotated

import typer


def _dollars(text: str) -> Decimal:
    try:
        return Decimal(text.removeprefix("$"))
    except InvalidOperation:
        raise typer.BadParameter(f"{text!r} is no amount in dollars, such as 1.20") from None


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
