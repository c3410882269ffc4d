"""A data folder in one Unicode form or another, as editors and file systems leave it."""

from __future__ import annotations

import unicodedata
from pathlib import Path

import numpy as np

NAMES = ("kävely", "yö/hämärä", "é", "plain")
TEXT = "Hyvää päivää, sanoi Väinö"
SHA256_AS_WRITTEN = "6079abd8b76ee4f50ec4ff1f9a925f8116de9c91755317043a74e0491eb3cc0c"
"""of the pack that fintts made of the folder in NFD before it knew of forms (at 309473e)"""


def form(name: str, text: str) -> str:
    return text if name == "as it is" else unicodedata.normalize(name, text)  # type: ignore[arg-type] # its forms are literals


def write_pairs(
    folder: Path, *, codes: str, text: str, content: str, reverse: bool = False
) -> Path:
    """Pairs whose file names and transcripts are in these forms."""
    for number, name in sorted(enumerate(NAMES), reverse=reverse):
        npy, lab = folder / f"{form(codes, name)}.npy", folder / f"{form(text, name)}.lab"
        npy.parent.mkdir(parents=True, exist_ok=True)
        lab.parent.mkdir(parents=True, exist_ok=True)
        np.save(npy, np.full((4, 5 + number), number, dtype=np.int16))
        lab.write_text(form(content, f"{TEXT} {number}"), encoding="utf-8")
    return folder
