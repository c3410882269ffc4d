"""The shape of a base model: sizes and counts, no weights."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from fintts_inputs.config import Target
    from fintts_inputs.prompts import Prompt

FLOPS_PER_PARAMETER_AND_TOKEN = 4
"""forward 2, gradient of the activations 2; a frozen weight needs no gradient"""


@dataclass(frozen=True, slots=True)
class StackShape:
    """One transformer: the slow one along time, or the fast one along the codebooks."""

    layers: int
    dim: int
    heads: int
    kv_heads: int
    head_dim: int
    intermediate: int
    qk_norm: bool

    @property
    def linears(self) -> dict[Target, list[tuple[int, int]]]:
        """(inputs, outputs) of the linear modules of one layer."""
        q, kv = self.heads * self.head_dim, self.kv_heads * self.head_dim
        return {
            "attention": [(self.dim, q), (self.dim, kv), (self.dim, kv), (q, self.dim)],
            "mlp": [
                (self.dim, self.intermediate),
                (self.dim, self.intermediate),
                (self.intermediate, self.dim),
            ],
        }

    @property
    def linear_parameters(self) -> int:
        """Parameters of all layers' linear modules, from which the FLOPs are computed."""
        each = sum(i * o for shapes in self.linears.values() for i, o in shapes)
        return self.layers * each

    @property
    def parameters(self) -> int:
        """All parameters of the layers and of the final norm."""
        norms = 2 * self.dim + (2 * self.head_dim if self.qk_norm else 0)
        return self.linear_parameters + self.layers * norms + self.dim


@dataclass(frozen=True, slots=True)
class Ends:
    """The embeddings and heads around the two stacks.

    Attributes:
        embeddings: (inputs, outputs) of the embeddings that an adapter can change.
        heads: the same of the heads, without tied ones and those that are not modules.
        parameters: of all embeddings, heads and projections; what is tied is counted once.
        weights_per_label: that a label on row 0 costs, beyond the slow stack.
        weights_per_frame: that all codes of a frame cost, beyond the fast stack.
    """

    embeddings: tuple[tuple[int, int], ...]
    heads: tuple[tuple[int, int], ...]
    parameters: int
    weights_per_label: int
    weights_per_frame: int


@dataclass(frozen=True, slots=True)
class ModelShape:
    """A text-to-speech model: a slow stack over time, and usually a fast one over codebooks."""

    family: str
    """the name of the `Family` that reads the folder"""
    prompt: Prompt
    """the prompt that the model is served with"""
    prompts: tuple[Prompt, ...]
    """the family's prompts; first the one of runs without a recorded prompt"""
    vocab_size: int
    """the size of row 0's vocabulary, in CSM the first codebook's"""
    codebook_size: int
    """the number of codes that the data may contain"""
    code_choices: int
    """the number of classes of a code; CSM adds a few for end and padding"""
    num_codebooks: int
    end_has_codes: bool
    """whether the end is a frame with predicted codes"""
    slow: StackShape
    second: StackShape | None
    """the fast stack; None for a plain language model, whose codes are in row 0"""
    ends: Ends
    max_seq_len: int
    # What Fish Speech's models differ in. CSM's blocks take theirs from its own config.json.
    tied_head: bool = False
    tied_codes: bool = False
    """CSM: whether backbone and depth decoder share the embedding of codes"""
    scaled_embeddings: bool = False
    norm_fast_input: bool = False
    rope_base: float = 10_000
    norm_eps: float = 1e-5

    @property
    def fast(self) -> StackShape:
        """The fast stack, for families that always have one."""
        if self.second is None:
            raise ValueError(f"a model of family {self.family} has no second network")
        return self.second

    @property
    def stacks(self) -> tuple[StackShape, ...]:
        """The slow stack, and the fast one if there is one."""
        return (self.slow,) if self.second is None else (self.slow, self.second)

    @property
    def choices(self) -> dict[str, int]:
        """The number of classes of each head."""
        codes = {} if self.second is None else {"code": self.code_choices}
        return {"token": self.vocab_size, **codes}

    @property
    def parameters(self) -> int:
        """All frozen parameters, without a codec; tied ones count once."""
        return sum(stack.parameters for stack in self.stacks) + self.ends.parameters

    def lora_parameters(self, rank: int, targets: Iterable[Target]) -> int:
        """Parameters of an adapter: rank × (inputs + outputs) for each adapted matrix.

        Query, key and value are adapted separately, as usual with PEFT: 8,595,456 for OpenAudio
        S1-mini at rank 8, where the reference trainer's fused matrix gives 8,071,168.
        """
        chosen = set(targets)
        shapes = [shape for target in chosen for shape in self._adapted(target)]
        return rank * sum(inputs + outputs for inputs, outputs in shapes)

    def fused_lora_parameters(self, rank: int, targets: Iterable[Target]) -> int:
        """The same adapter in Fish Speech's trainer.

        There, query, key and value are one matrix, with one A instead of three.
        """
        stacks = self.stacks if "attention" in set(targets) else ()
        spared = sum(2 * stack.dim * stack.layers for stack in stacks)
        return self.lora_parameters(rank, targets) - rank * spared

    def _adapted(self, target: Target) -> list[tuple[int, int]]:
        if target == "embeddings":
            return list(self.ends.embeddings)
        if target == "heads":
            return list(self.ends.heads)
        return [shape for stack in self.stacks for shape in stack.linears[target] * stack.layers]

    def training_flops(self, text_tokens: float, frames: float) -> float:
        """FLOPs of one optimisation pass over one utterance with a frozen base.

        Linears count 4 FLOPs a parameter and token (forward and gradient of the activations), the
        text head at label positions only, attention 12 × heads × head_dim × length² / 2 a layer
        (causal). 12.9 TFLOP for 8 × (300 frames + 100 text tokens) of S1-mini, 13.0 with the
        adapter's own, which are left out.
        """
        length, labels = text_tokens + frames, frames + 1
        coded = labels if self.end_has_codes else frames
        weights = (
            self.slow.linear_parameters * length
            + self.ends.weights_per_label * labels
            + self.ends.weights_per_frame * coded
        )
        attention = _attention_flops(self.slow, length)
        if self.second is not None:
            weights += self.fast.linear_parameters * self.num_codebooks * coded
            attention += coded * _attention_flops(self.fast, self.num_codebooks)
        return FLOPS_PER_PARAMETER_AND_TOKEN * weights + attention


def _attention_flops(stack: StackShape, length: float) -> float:
    return 6 * stack.layers * stack.heads * stack.head_dim * length**2
