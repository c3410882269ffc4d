"""The codec of a run as run.json names it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fintts_inputs.codec.config import CODEC_CONFIG
from fintts_inputs.file_refs import digest_of, file_ref
from fintts_store import layout
from fintts_store.runs.run_record import CodecRef

if TYPE_CHECKING:
    from fintts_inputs.codec.find import CodecFile


ENCODED_HERE = (
    "encode with `fintts data encode --codec PATH`, and set data to the folder that it writes"
)
"""what else a run on recordings can do where there is no codec"""


def describe_codec(codec: CodecFile) -> CodecRef | None:
    """The files of a codec; None if it lies in the base model's own weights."""
    if codec.path.is_dir():
        return None
    config = codec.path.with_name(CODEC_CONFIG)
    files = tuple(file_ref(path) for path in (codec.path, config) if path.is_file())
    return CodecRef(prefix=layout.codec_prefix(digest_of(files)), files=files)
