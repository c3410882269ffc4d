"""CSM's tokenizer: text to ids, without matching control tokens in the text."""

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
    """A token of tokenizer.json that is matched as a whole."""

    model_config = ConfigDict(extra="ignore")

    id: int
    content: str


class TokenizerFile(BaseModel):
    """The part of tokenizer.json that is read here; the tokenizers library reads the rest."""

    model_config = ConfigDict(extra="allow")

    added_tokens: list[AddedToken]


@dataclass(frozen=True)
class CsmTokenizer:
    """Byte pair encoding of text, and the ids of the control tokens around it."""

    text: Tokenizer
    begin_id: int
    end_id: int
    size: int
    """one more than the highest id"""

    @classmethod
    def read(cls, folder: Path) -> CsmTokenizer:
        """Reads tokenizer.json.

        Raises:
            BaseModelProblem: the file is missing or malformed, or lacks a token of the prompt.
        """
        path = folder / "tokenizer.json"
        content = read_text(path)
        try:
            added = TokenizerFile.model_validate_json(content).added_tokens
            # Without its added tokens it treats `<|end_of_text|>` in a transcript as text.
            plain = Tokenizer.from_str(json.dumps({**json.loads(content), "added_tokens": []}))
        except ValidationError:
            raise BaseModelProblem(f"{path} is not a Hugging Face tokenizer") from None
        # The tokenizers library raises bare Exceptions.
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
        """Ids of the text; control tokens in it are spelled out as text."""
        return list(self.text.encode(text, add_special_tokens=False).ids)


def _id_of(ids: dict[str, int], token: str) -> int:
    if token not in ids:
        raise BaseModelProblem(f"tokenizer.json has no {token}, which the prompt needs")
    return ids[token]
