"""Text to ids, as Fish Speech's tiktoken files have it."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from typing import TYPE_CHECKING

import tiktoken
from pydantic import TypeAdapter, ValidationError

from fintts_trainer.errors import BaseModelProblem
from fintts_trainer.shape import read_json, read_text

if TYPE_CHECKING:
    from pathlib import Path

# The split pattern that the models were trained with. `(\?!\S)` looks like a slip for `(?!\S)`;
# it is part of the model's vocabulary by now, so it stays.
SPLIT_PATTERN = "|".join(
    [
        r"(?i:'s|'t|'re|'ve|'m|'ll|'d)",
        r"\p{P}",
        r"[^\r\n\p{L}\p{N}]?\p{L}+",
        r"\p{N}",
        r" ?[^\s\p{L}\p{N}]+[\r\n]*",
        r"\s*[\r\n]+",
        r"\s+(\?!\S)",
        r"\s+",
    ]
)


@dataclass(frozen=True)
class FishTokenizer:
    """Byte pairs for text, and the ids of the control and semantic tokens."""

    text: tiktoken.Encoding
    interleave_id: int
    end_id: int
    semantic_begin_id: int
    semantic_end_id: int
    size: int
    """one more than the highest id"""

    @classmethod
    def read(cls, folder: Path, codebook_size: int) -> FishTokenizer:
        """Reads tokenizer.tiktoken and special_tokens.json.

        Raises:
            BaseModelProblem: a file is missing or malformed, or a token that training needs.
        """
        ranks = _read_ranks(folder / "tokenizer.tiktoken")
        special = _read_special(folder / "special_tokens.json")
        semantic = _semantic_ids(special, codebook_size)
        return cls(
            text=tiktoken.Encoding(
                "fish", pat_str=SPLIT_PATTERN, mergeable_ranks=ranks, special_tokens={}
            ),
            interleave_id=_id_of(special, "<|interleave|>"),
            end_id=_id_of(special, "<|im_end|>"),
            semantic_begin_id=semantic[0],
            semantic_end_id=semantic[-1],
            size=1 + max(*special.values(), *ranks.values()),
        )

    def encode_text(self, text: str) -> list[int]:
        """Ids of the text; what looks like a control token in it stays text."""
        return self.text.encode_ordinary(text)


def _read_ranks(path: Path) -> dict[bytes, int]:
    lines = read_text(path).splitlines()
    try:
        pairs = [line.split() for line in lines if line.strip()]
        ranks = {base64.b64decode(token, validate=True): int(rank) for token, rank in pairs}
    except ValueError as error:
        raise BaseModelProblem(f"{path} is not a tiktoken file: {error}") from None
    missing = [byte for byte in range(256) if bytes([byte]) not in ranks]
    if missing:
        raise BaseModelProblem(f"{path} lacks {len(missing)} of the 256 single bytes")
    return ranks


def _read_special(path: Path) -> dict[str, int]:
    try:
        return TypeAdapter(dict[str, int]).validate_python(read_json(path))
    except ValidationError:
        raise BaseModelProblem(f"{path} is not a table of tokens and their ids") from None


def _id_of(special: dict[str, int], token: str) -> int:
    if token not in special:
        raise BaseModelProblem(f"special_tokens.json has no {token}, which the prompt needs")
    return special[token]


def _semantic_ids(special: dict[str, int], codebook_size: int) -> list[int]:
    ids = [_id_of(special, f"<|semantic:{code}|>") for code in range(codebook_size)]
    if ids != list(range(ids[0], ids[0] + codebook_size)):
        raise BaseModelProblem("the ids of the semantic tokens are not consecutive")
    return ids
