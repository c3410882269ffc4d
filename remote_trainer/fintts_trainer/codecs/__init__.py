"""Codecs: the models that turn waves into codes and back."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fintts_inputs.codec.firefly import FireflySizes
from fintts_inputs.codec.s1 import S1Sizes
from fintts_trainer.codecs.firefly.codec import open_firefly
from fintts_trainer.codecs.mimi import open_mimi
from fintts_trainer.codecs.s1.codec import open_s1

if TYPE_CHECKING:
    import torch

    from fintts_inputs.codec.find import CodecFile
    from fintts_trainer.codecs.base import Codec


def open_codec(file: CodecFile, device: torch.device) -> Codec:
    """Reads the weights of a codec that `find_codec` found, in float32, onto a device.

    Raises:
        BaseModelProblem: its file is damaged.
        CodecProblem: its weights do not fit together.
    """
    if isinstance(file.sizes, S1Sizes):
        return open_s1(file.path, file.sizes, device)
    if isinstance(file.sizes, FireflySizes):
        return open_firefly(file.path, file.sizes, device)
    return open_mimi(file.path, file.sizes, device)
