"""Gradient checkpointing (arXiv:1604.06174): layers drop their activations and compute them again
in backward."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from torch.utils.checkpoint import checkpoint
from transformers.modeling_layers import GradientCheckpointingLayer

if TYPE_CHECKING:
    from torch import nn


def recompute_layers(model: nn.Module) -> int:
    """Makes each transformer layer keep only its input, which costs a second forward pass; returns
    the number of layers.

    It uses the non-reentrant variant: the reentrant one gives a layer no gradient if the layer's
    input has none, so an adapter without embeddings would stay untrained. transformers' own switch
    would also make the frozen embeddings require a gradient.
    """
    layers = [one for one in model.modules() if isinstance(one, GradientCheckpointingLayer)]
    for layer in layers:
        layer.gradient_checkpointing = True
        # transformers' switch sets the same attribute, which its layers read.
        recompute = partial(checkpoint, use_reentrant=False)
        layer._gradient_checkpointing_func = recompute  # type: ignore[assignment] # pyright: ignore[reportPrivateUsage]
    return len(layers)
