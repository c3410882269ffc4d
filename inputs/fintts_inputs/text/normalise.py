"""Makes a text and what a speech recogniser heard comparable, so that only what sounds different
counts as an error.

The order matters: numbers need their punctuation. å, ä and ö are letters of their own, and stay.
"""

from __future__ import annotations

import re
import unicodedata

from fintts_inputs.text.spelling import spelled_out

SPACES = re.compile(r"\s+")
SIGNS = {"&": " ja ", "%": " prosenttia ", "€": " euroa "}
AS_HEARD = str.maketrans(dict(zip("éèêëáàâíìóòôúùûüñçšž", "eeeeaaaiiooouuuuncsz", strict=True)))
"""letters of names that a recogniser may write without their mark; å, ä and ö are not among them"""
_SIGN = re.compile("[&%€]")
_INSIDE = re.compile(r"(?<=[^\W\d])['’ʼ:](?=[^\W\d])")
_OTHER = re.compile(r"[^\w\s]|_")


def normalised(text: str, language: str) -> str:
    """The text in NFC, in lower case and without punctuation; in Finnish, also without digits and
    abbreviations.

    Args:
        language: as Whisper names it: `fi`.
    """
    plain = SPACES.sub(" ", unicodedata.normalize("NFC", text))
    if language == "fi":
        plain = spelled_out(plain)[0].lower()
        plain = _SIGN.sub(lambda found: SIGNS[found[0]], plain).translate(AS_HEARD)
    plain = _INSIDE.sub("", plain.lower())
    return SPACES.sub(" ", _OTHER.sub(" ", plain)).strip()
