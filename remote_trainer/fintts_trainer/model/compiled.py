"""torch.compile on the transformer layers, one by one."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import torch
from transformers.modeling_layers import GradientCheckpointingLayer

from fintts_trainer.errors import CannotCompile

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import nn

GIVES_UP = "hit config."
"""in what torch logs when it has made as many graphs of some code as it is allowed"""

MOST_GRAPHS = 32
"""of one kind of layer: two stacks, training and validation, one utterance and several"""


def compile_layers(model: nn.Module) -> None:
    """Has torch compile each layer's forward and backward when it is first run.

    Layers of one stack share their code, so it is made once for all of them; `dynamic` makes it
    for every length at once. Names of modules and parameters stay what they are.

    Raises:
        CannotCompile: torch lacks what it needs for that, as a small trial shows.
    """
    _try(next(model.parameters()).device)
    torch._dynamo.config.recompile_limit = MOST_GRAPHS  # pyright: ignore[reportPrivateUsage]
    for module in model.modules():
        if isinstance(module, GradientCheckpointingLayer):
            module.compile(dynamic=True)


def log_what_stays_eager(log: Callable[[str], None]) -> None:
    """Calls `log`, once, when torch stops compiling: what needs another graph then runs without
    compilation, and nothing else says so."""
    said: list[str] = []

    def heed(record: logging.LogRecord) -> bool:
        if GIVES_UP in (reason := record.getMessage().partition("\n")[0]) and not said:
            said.append(reason)
            log(f"training.compile is not in force for all layers, some run without it: {reason}")
        return True

    logging.getLogger("torch._dynamo.convert_frame").addFilter(heed)


def _try(device: torch.device) -> None:
    try:
        torch.compile(_twice)(torch.ones(2, device=device))
    except Exception as error:  # each backend and each missing tool has errors of its own
        sentence = next(iter(str(error).splitlines()), type(error).__name__)
        raise CannotCompile(
            f"training.compile is set, but torch cannot compile here: {sentence}",
            "set training.compile to false, or install a C++ compiler (apt-get install g++)",
        ) from None


def _twice(one: torch.Tensor) -> torch.Tensor:
    return one + one
