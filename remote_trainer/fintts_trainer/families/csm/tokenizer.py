"""Text to ids, as CSM's tokenizer.json has it, with its control tokens kept out of the text."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict, ValidationError
from tokenizers import Tokenizer

from fintts_inputs.base_model.reading import read_text
from fintts_inputs.errors import BaseModelProblem

if TYPE_CHECKING:
    from pathlib import Path

BEGIN, END = "<|begin_of_text|>", "<|end_of_text|>"


class AddedToken(BaseModel):
    """One of tokenizer.json's tokens that are found before the text is split."""

    model_config = ConfigDict(extra="ignore")

    id: int
    content: str


class TokenizerFile(BaseModel):
    """tokenizer.json: the added tokens are read here, the others by the tokenizers library."""

    model_config = ConfigDict(extra="allow")

    added_tokens: list[AddedToken]


@dataclass(frozen=True)
class CsmTokenizer:
    """Byte pairs for text, and the ids around it."""

    text: Tokenizer
    begin_id: int
    end_id: int
    size: int
    """one more than the highest id"""

    @classmethod
    def read(cls, folder: Path) -> CsmTokenizer:
        """Reads tokenizer.json.

        Raises:
            BaseModelProblem: it is missing or malformed, or lacks a token that the prompt needs.
        """
        path = folder / "tokenizer.json"
        content = read_text(path)
        try:
            added = TokenizerFile.model_validate_json(content).added_tokens
            # Without its added tokens it takes `<|end_of_text|>` in a transcript for text.
            plain = Tokenizer.from_str(json.dumps({**json.loads(content), "added_tokens": []}))
        except ValidationError:
            raise BaseModelProblem(f"{path} is not a tokenizer of Hugging Face's") from None
        # tokenizers' own errors are bare Exceptions.
        except Exception as error:
            raise BaseModelProblem(f"{path} is not a tokenizer: {error}") from None
        ids = {token.content: token.id for token in added}
        return cls(
            text=plain,
            begin_id=_id_of(ids, BEGIN),
            end_id=_id_of(ids, END),
            size=1 + max(*ids.values(), *plain.get_vocab().values()),
        )

    def encode_text(self, text: str) -> list[int]:
        """Ids of the text; what looks like a control token in it stays text."""
        return list(self.text.encode(text, add_special_tokens=False).ids)


def _id_of(ids: dict[str, int], token: str) -> int:
    if token not in ids:
        raise BaseModelProblem(f"tokenizer.json has no {token}, which the prompt needs")
    return ids[token]
