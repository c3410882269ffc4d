"""Gradient checkpointing: layers forget their activations and work them out again in backward."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from torch.utils.checkpoint import checkpoint
from transformers.modeling_layers import GradientCheckpointingLayer

if TYPE_CHECKING:
    from torch import nn


def recompute_layers(model: nn.Module) -> int:
    """Has each transformer layer in the model keep nothing but its input; it costs a forward.

    Not the reentrant kind: that one gives no gradient to what a layer holds when the layer's input
    has none, and so leaves an adapter without embeddings untrained. transformers' own switch would
    also make the frozen embeddings ask for a gradient. Returns how many layers do so.
    """
    layers = [one for one in model.modules() if isinstance(one, GradientCheckpointingLayer)]
    for layer in layers:
        layer.gradient_checkpointing = True
        # What transformers' switch sets, under the name that its layers read.
        again = partial(checkpoint, use_reentrant=False)
        layer._gradient_checkpointing_func = again  # type: ignore[assignment] # pyright: ignore[reportPrivateUsage]
    return len(layers)
