"""CSM's codec, Mimi, through transformers."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

import numpy as np
import torch
from transformers import MimiConfig, MimiModel

from fintts_inputs.base_model.tensors import misfit
from fintts_inputs.errors import CodecProblem
from fintts_trainer.codecs.base import exact, refuse_length, refuse_misshapen
from fintts_trainer.codecs.weights import digest_of
from fintts_trainer.families.weight_files import read_state_dict, stored

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from torch import Tensor, nn
    from transformers.models.mimi.modeling_mimi import MimiDecoderOutput, MimiEncoderOutput

    from fintts_inputs.codec.find import MimiSizes
    from fintts_inputs.codec.shape import CodecShape
    from fintts_trainer.codecs.base import Codes, Wave


@dataclass(frozen=True)
class MimiCodec:
    """A codec in memory.

    Each utterance is encoded alone: one convolution repeats the last value at the end of its input,
    so a padded batch gives another last frame.
    """

    network: MimiModel
    shape: CodecShape
    device: torch.device
    digest: str

    def encode(self, waves: Sequence[Wave]) -> list[Codes]:
        """Utterances → int64 [codebooks, frames] of each.

        Raises:
            CodecProblem: an utterance is empty.
        """
        for wave in waves:
            refuse_length(self.shape, len(wave))
        return [self._encode(wave) for wave in waves]

    def _encode(self, wave: Wave) -> Codes:
        with exact():
            samples = torch.from_numpy(np.ascontiguousarray(wave)).to(self.device)
            found = self.network.encode(
                samples[None, None], num_quantizers=self.shape.codebooks, return_dict=True
            )
            codes = cast("Tensor", cast("MimiEncoderOutput", found).audio_codes)
        return codes[0].cpu().numpy()

    def decode(self, codes: Codes) -> Wave:
        """int64 [codebooks, frames] → float32 [samples].

        Raises:
            CodecProblem: the codes are of another shape, or there is none of such a number.
        """
        refuse_misshapen(self.shape, codes)
        size = self.shape.codebook_sizes[0]
        if codes.max() >= size:
            raise CodecProblem(f"the codes hold {codes.max()}, and the codec's end at {size - 1}")
        with exact():
            found = self.network.decode(
                torch.from_numpy(codes)[None].to(self.device), return_dict=True
            )
            wave = cast("Tensor", cast("MimiDecoderOutput", found).audio_values)
        return wave[0, 0].cpu().numpy()


def open_mimi(folder: Path, sizes: MimiSizes, device: torch.device) -> MimiCodec:
    """Reads the weights of the Mimi in a folder of CSM's, or of its own.

    Raises:
        BaseModelProblem: a file is damaged.
        CodecProblem: weights are missing, unexpected or misshapen, or transformers refuses the
            configuration.
    """
    state = {
        name.removeprefix(sizes.prefix): weight
        for name, weight in read_state_dict(folder).items()
        if name.startswith(sizes.prefix)
    }
    try:
        network = MimiModel(MimiConfig.from_dict(sizes.config))
    # transformers checks in many places, with errors of many kinds.
    except (ValueError, TypeError, KeyError) as error:
        raise CodecProblem(f"transformers refuses the codec of {folder}: {error}") from None
    wanted = {name: tuple(weight.shape) for name, weight in network.state_dict().items()}
    if problem := misfit(stored(state), wanted):
        raise CodecProblem(
            f"the codec's weights do not fit its configuration: {problem}",
            "take config.json and the weights from the same release",
        )
    network.load_state_dict({name: weight.float() for name, weight in state.items()})
    network.requires_grad_(requires_grad=False)
    network.train(mode=False)
    cast("nn.Module", network).to(device)
    settings = json.dumps(sizes.config, sort_keys=True)
    return MimiCodec(network, sizes.shape, device, digest_of(state, settings))
