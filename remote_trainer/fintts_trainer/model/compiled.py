"""torch.compile on the transformer layers, one by one."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Literal

import torch
from transformers.modeling_layers import GradientCheckpointingLayer

from fintts_trainer.errors import CannotCompile

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import nn

GIVES_UP = ("hit config.", "WON'T CONVERT")
"""in what torch logs when it has made as many graphs of some code as it is allowed, and when it
cannot compile some code"""

MOST_GRAPHS = 32
"""of one kind of layer: two stacks, training and validation, one utterance and several"""


def compile_as_configured(
    model: nn.Module,
    setting: bool | Literal["auto"],
    device_type: str,
    log: Callable[[str], None],
    warn: Callable[[str], None],
) -> bool:
    """Compiles the layers if `training.compile` asks for it; `auto` does on a GPU if torch can.

    Args:
        device_type: where the model computes, as torch names it.
        warn: is called if layers turn out, while training, to run without compilation.

    Returns:
        Whether the layers are compiled when they first run.

    Raises:
        CannotCompile: the setting is true, and torch cannot compile here.
    """
    if setting is False or (setting == "auto" and device_type != "cuda"):
        return False
    try:
        compile_layers(model, is_required=setting is True)
    except CannotCompile as error:
        if setting is True:
            raise
        log(f"the layers run without torch.compile: {error.message}")
        return False
    log("the layers are compiled as they first run, which takes a minute or more")
    log_what_stays_eager(warn)
    return True


def compile_layers(model: nn.Module, *, is_required: bool = True) -> None:
    """Has torch compile each layer's forward and backward when it is first run.

    Layers of one stack share their code, so it is made once for all of them; `dynamic` makes it
    for every length at once. Names of modules and parameters stay what they are.

    Args:
        is_required: whether code that torch cannot compile raises; it runs eagerly otherwise.

    Raises:
        CannotCompile: torch lacks what it needs for that, as a small trial shows.
    """
    _try(next(model.parameters()).device)
    settings = torch._dynamo.config  # pyright: ignore[reportPrivateUsage]
    settings.recompile_limit, settings.suppress_errors = MOST_GRAPHS, not is_required
    for module in model.modules():
        if isinstance(module, GradientCheckpointingLayer):
            module.compile(dynamic=True)


def log_what_stays_eager(log: Callable[[str], None]) -> None:
    """Calls `log`, once, when torch stops compiling: what needs another graph then runs without
    compilation, and nothing else says so."""
    said: list[str] = []

    def heed(record: logging.LogRecord) -> bool:
        reason = record.getMessage().partition("\n")[0]
        if not said and any(sign in reason for sign in GIVES_UP):
            said.append(reason)
            log(f"some layers run without torch.compile: {reason}")
        return True

    logging.getLogger("torch._dynamo.convert_frame").addFilter(heed)


def _try(device: torch.device) -> None:
    try:
        torch.compile(_twice)(torch.ones(2, device=device))
    except Exception as error:  # each backend and each missing tool has errors of its own
        sentence = next(iter(str(error).splitlines()), type(error).__name__)
        raise CannotCompile(
            f"torch cannot compile here: {sentence}",
            "set training.compile to false, or install a C++ compiler (apt-get install g++)",
        ) from None


def _twice(one: torch.Tensor) -> torch.Tensor:
    return one + one
