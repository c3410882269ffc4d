"""Compiles the transformer layers with torch.compile, one by one."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Literal

import torch
from transformers.modeling_layers import GradientCheckpointingLayer

from fintts_trainer.errors import CannotCompile

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import nn

NOT_COMPILED = ("hit config.", "WON'T CONVERT")
"""parts of torch's log messages when a function has reached its limit of graphs, and when it cannot
be compiled"""

MOST_GRAPHS = 32
"""per kind of layer: for two stacks, training and validation, one utterance and several"""


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
    log("each layer is compiled on its first call, which takes a minute or more")
    log_eager_layers(warn)
    return True


def compile_layers(model: nn.Module, *, is_required: bool = True) -> None:
    """Makes torch compile forward and backward of each layer on its first call.

    The layers of one stack share their code, so torch compiles it once; `dynamic` covers all
    lengths. Names of modules and parameters do not change.

    Args:
        is_required: whether code that torch cannot compile raises; it runs eagerly otherwise.

    Raises:
        CannotCompile: a small trial fails; torch lacks a compiler.
    """
    _try(next(model.parameters()).device)
    settings = torch._dynamo.config  # pyright: ignore[reportPrivateUsage]
    settings.recompile_limit, settings.suppress_errors = MOST_GRAPHS, not is_required
    # A layer's floats are constants. As symbols, torch traces each graph twice to find that out.
    settings.specialize_float = True
    for module in model.modules():
        if isinstance(module, GradientCheckpointingLayer):
            module.compile(dynamic=True)


def log_eager_layers(log: Callable[[str], None]) -> None:
    """Calls `log` once if torch runs layers uncompiled: at its limit of graphs, or for code that it
    cannot compile."""
    logged: list[str] = []

    def inspect(record: logging.LogRecord) -> bool:
        reason = record.getMessage().partition("\n")[0]
        if not logged and any(sign in reason for sign in NOT_COMPILED):
            logged.append(reason)
            log(f"some layers run without torch.compile: {reason}")
        return True

    logging.getLogger("torch._dynamo.convert_frame").addFilter(inspect)


def _try(device: torch.device) -> None:
    try:
        torch.compile(_twice)(torch.ones(2, device=device))
    except Exception as error:  # each backend and each missing tool raises its own errors
        sentence = next(iter(str(error).splitlines()), type(error).__name__)
        raise CannotCompile(
            f"torch cannot compile here: {sentence}",
            "set training.compile to false, or install a C++ compiler (apt-get install g++)",
        ) from None


def _twice(one: torch.Tensor) -> torch.Tensor:
    return one + one
