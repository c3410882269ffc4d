"""Runs the codec's network for training on a CPU: the same layers, in a faster memory layout.

With 8 to 40 channels, torch's convolutions are up to twice as fast over channels-last images of
height 1 as over [B, C, T].
"""

from __future__ import annotations

import math
from functools import reduce
from typing import TYPE_CHECKING, cast

import torch
import torch.nn.functional as F  # noqa: N812 - everybody's name for it
from torch import nn

from fintts_trainer.codecs.layers import CausalConv, CausalTransposedConv
from fintts_trainer.codecs.s1.network import Block, Decoder, ResidualUnit, Snake

if TYPE_CHECKING:
    from torch import Tensor
    from torch.autograd.function import FunctionCtx

ALPHA_EVERY = 2
"""The gradient of a snake's α is a sum over time, of which every second place is a fair sample."""

FIRST_GAIN, LAST_GAIN, UNIT_GAIN = 6.0, 0.1, 0.3


def channels_last(layer: nn.Module, x: Tensor) -> Tensor:
    """What `layer(x)` gives, [B, in, T] → [B, out, T']; α's gradient is an estimate."""
    image = x[:, :, None].contiguous(memory_format=torch.channels_last)
    return _run(layer, image)[:, :, 0]


def initialise(network: nn.Module) -> None:
    """Draws weights with which the variance of speech survives to the last layer.

    torch's own let it fade: after the encoder, the biases are all that is left.
    """
    for name, layer in network.named_modules():
        if isinstance(layer, nn.Conv1d | nn.ConvTranspose1d):
            inputs = layer.weight[0].numel()
            if isinstance(layer, nn.ConvTranspose1d):
                inputs = 2 * layer.in_channels  # the kernel is two strides long
            nn.init.normal_(layer.weight, std=_gain(name, layer) / math.sqrt(inputs))
            assert layer.bias is not None
            nn.init.zeros_(layer.bias)


def _gain(name: str, layer: nn.Module) -> float:
    """Of the standard deviation: speech comes in at 0.07, and units add little to their input."""
    if isinstance(layer, nn.Conv1d) and 1 in (layer.in_channels, layer.out_channels):
        return FIRST_GAIN if layer.in_channels == 1 else LAST_GAIN
    return UNIT_GAIN if name.endswith("block.3.conv") else 1.0


def _run(layer: nn.Module, x: Tensor) -> Tensor:
    match layer:
        case CausalConv():
            return _conv(layer, x)
        case CausalTransposedConv():
            return _transposed_conv(layer, x)
        case Snake():
            return cast("Tensor", _Snake.apply(x, layer.alpha[..., None] + 1e-9))
        case ResidualUnit():
            return x + _run(layer.block, x)
        case Block(block=inner) | Decoder(model=inner):
            return _run(inner, x)
        case nn.Sequential():
            return reduce(lambda found, each: _run(each, found), layer, x)
        case _:
            return cast("Tensor", layer(x))


def _conv(layer: CausalConv, x: Tensor) -> Tensor:
    conv = layer.conv
    if conv.kernel_size[0] == 1:
        return F.linear(x.permute(0, 2, 3, 1), conv.weight[:, :, 0], conv.bias).permute(0, 3, 1, 2)
    padded = F.pad(x, (layer.before, -x.shape[-1] % layer.stride))
    stride, dilation = (1, layer.stride), (1, conv.dilation[0])
    return F.conv2d(padded, _image(conv.weight), conv.bias, stride, dilation=dilation)


def _transposed_conv(layer: CausalTransposedConv, x: Tensor) -> Tensor:
    kernel = _image(layer.conv.weight)
    whole = F.conv_transpose2d(x, kernel, layer.conv.bias, (1, layer.stride))
    return whole[..., : x.shape[-1] * layer.stride]


def _image(weight: Tensor) -> Tensor:
    return weight[:, :, None].contiguous(memory_format=torch.channels_last)


class _Snake(torch.autograd.Function):
    """x + sin²(αx) / α in few passes over memory; x [B, C, 1, T], α [1, C, 1, 1]."""

    @staticmethod
    def forward(ctx: FunctionCtx, x: Tensor, alpha: Tensor) -> Tensor:
        ctx.save_for_backward(x, alpha)
        sine = (x * alpha).sin_().mul_(alpha.rsqrt())
        return torch.addcmul(x, sine, sine)

    @staticmethod
    def backward(ctx: FunctionCtx, gradient: Tensor) -> tuple[Tensor, Tensor]:
        x, alpha = cast("tuple[Tensor, Tensor]", ctx.saved_tensors)  # type: ignore[attr-defined]
        of_x = torch.addcmul(gradient, gradient, (x * (2 * alpha)).sin_())
        some, theirs = x[..., ::ALPHA_EVERY], gradient[..., ::ALPHA_EVERY]
        angle = alpha * some
        slope = (some * (2 * angle).sin() - angle.sin().square() / alpha) / alpha
        return of_x, (theirs * slope).sum((0, 2, 3), keepdim=True) * ALPHA_EVERY
