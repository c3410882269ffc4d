"""Fish Speech's tokenizers: tokenizer.tiktoken of 1.5 and S1-mini, tokenizer.json of S2."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import tiktoken
from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError
from tokenizers import Tokenizer

from fintts_inputs.base_model.files import SPECIAL_TOKENS, TIKTOKEN, TOKENIZER, tokenizer_files
from fintts_inputs.base_model.reading import AGAIN, read_json, read_text
from fintts_inputs.errors import BaseModelProblem

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

# The models were trained with this split pattern. `(\?!\S)` looks like a typo for `(?!\S)`, but
# a fix would change the ids that the models know.
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


class TextEncoding(Protocol):
    """Encodes text without control tokens; tiktoken's `Encoding` is one."""

    def encode_ordinary(self, text: str) -> Sequence[int]:
        """The ids of the text."""
        ...

    def decode(self, tokens: Sequence[int]) -> str:
        """The inverse of `encode_ordinary`."""
        ...


class JsonEncoding:
    """The byte pairs of a tokenizer.json, without its control tokens."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer

    def encode_ordinary(self, text: str) -> list[int]:
        """The ids of the text, with nothing added before or after."""
        ids: list[int] = self._tokenizer.encode(text, add_special_tokens=False).ids
        return ids

    def decode(self, tokens: Sequence[int]) -> str:
        """The inverse of `encode_ordinary`."""
        text: str = self._tokenizer.decode(list(tokens), skip_special_tokens=False)
        return text


class AddedToken(BaseModel):
    """A token that tokenizer.json matches as a whole."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    id: int
    content: str


class Vocabulary(BaseModel):
    """The part of tokenizer.json that holds the byte pairs."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    vocab: dict[str, int]


class TokenizerFile(BaseModel):
    """The keys of the tokenizers library's tokenizer.json that are read here."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    added_tokens: list[AddedToken]
    model: Vocabulary

    @property
    def ids(self) -> dict[str, int]:
        """Every token with its id."""
        return self.model.vocab | {token.content: token.id for token in self.added_tokens}


@dataclass(frozen=True)
class FishTokenizer:
    """Byte pair encoding of text, and the ids of the control and semantic tokens."""

    text: TextEncoding
    control: Mapping[str, int]
    source: str
    """the file that names the control tokens"""
    end_id: int
    semantic_begin_id: int
    semantic_end_id: int
    size: int
    """one more than the highest id"""

    @classmethod
    def read(cls, folder: Path, codebook_size: int) -> FishTokenizer:
        """Reads tokenizer.tiktoken with special_tokens.json, or else tokenizer.json.

        Raises:
            BaseModelProblem: a file is missing or malformed, or lacks a token that training needs.
        """
        if TIKTOKEN in tokenizer_files(folder):
            return cls._from_tiktoken(folder, codebook_size)
        return cls._from_json(folder / TOKENIZER, codebook_size)

    @classmethod
    def _from_tiktoken(cls, folder: Path, codebook_size: int) -> FishTokenizer:
        ranks = read_ranks(folder / TIKTOKEN)
        special = _read_special(folder / SPECIAL_TOKENS)
        text = tiktoken.Encoding(
            "fish", pat_str=SPLIT_PATTERN, mergeable_ranks=ranks, special_tokens={}
        )
        size = 1 + max(*special.values(), *ranks.values())
        return cls._of(text, special, SPECIAL_TOKENS, codebook_size, size)

    @classmethod
    def _from_json(cls, path: Path, codebook_size: int) -> FishTokenizer:
        content = read_json(path)
        try:
            ids = TokenizerFile.model_validate(content).ids
        except ValidationError as error:
            first = error.errors()[0]
            key = ".".join(str(part) for part in first["loc"])
            what = f"{key}: {first['msg']}" if key else "it is not a JSON object"
            raise BaseModelProblem(f"{path} is not a tokenizer: {what}", AGAIN) from None
        text = JsonEncoding(_without_control(content, path))
        return cls._of(text, ids, path.name, codebook_size, 1 + max(ids.values()))

    @classmethod
    def _of(
        cls, text: TextEncoding, special: dict[str, int], source: str, codebook_size: int, size: int
    ) -> FishTokenizer:
        semantic = _semantic_ids(special, source, codebook_size)
        return cls(
            text=text,
            control=special,
            source=source,
            end_id=_id_of(special, source, "<|im_end|>"),
            semantic_begin_id=semantic[0],
            semantic_end_id=semantic[-1],
            size=size,
        )

    def id_of(self, token: str) -> int:
        """The id of a control token. Raises BaseModelProblem if the tokenizer lacks it."""
        return _id_of(self.control, self.source, token)

    def encode_text(self, text: str) -> list[int]:
        """Ids of the text; control tokens in it are spelled out as text."""
        return list(self.text.encode_ordinary(text))


def _without_control(content: object, path: Path) -> Tokenizer:
    """The tokenizer without its added tokens, which it would also match in a transcript."""
    assert isinstance(content, dict)
    try:
        text_only = Tokenizer.from_str(json.dumps({**content, "added_tokens": []}))
    except Exception as error:  # the library raises bare Exceptions
        raise BaseModelProblem(f"{path} is not a tokenizer: {error}", AGAIN) from None
    text_only.no_truncation()
    text_only.no_padding()
    return text_only


def read_ranks(path: Path) -> dict[bytes, int]:
    """Reads a tiktoken file: byte pairs with their merge ranks, which are their ids.

    Raises:
        BaseModelProblem: it is not a tiktoken file, or lacks a single byte.
    """
    lines = read_text(path).splitlines()
    try:
        pairs = [line.split() for line in lines if line.strip()]
        ranks = {base64.b64decode(token, validate=True): int(rank) for token, rank in pairs}
    except ValueError as error:
        raise BaseModelProblem(f"{path} is not a tiktoken file: {error}", AGAIN) from None
    missing = [byte for byte in range(256) if bytes([byte]) not in ranks]
    if missing:
        raise BaseModelProblem(f"{path} lacks {len(missing)} of the 256 single bytes")
    return ranks


def _read_special(path: Path) -> dict[str, int]:
    try:
        return TypeAdapter(dict[str, int]).validate_python(read_json(path))
    except ValidationError:
        raise BaseModelProblem(f"{path} does not map tokens to ids") from None


def _id_of(special: Mapping[str, int], source: str, token: str) -> int:
    if token not in special:
        raise BaseModelProblem(
            f"{source} has no {token}, which the prompt needs",
            "use the tokenizer from the same release as config.json",
        )
    return special[token]


def _semantic_ids(special: dict[str, int], source: str, codebook_size: int) -> list[int]:
    ids = [_id_of(special, source, f"<|semantic:{code}|>") for code in range(codebook_size)]
    if ids != list(range(ids[0], ids[0] + codebook_size)):
        raise BaseModelProblem("the ids of the semantic tokens are not consecutive")
    return ids
