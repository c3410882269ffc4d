"""Makes a text and what a speech recogniser heard comparable, so that only what sounds different
counts as an error.

The order matters: numbers need their punctuation. å, ä and ö are letters of their own, and stay.
"""

from __future__ import annotations

import re
import unicodedata

from fintts_inputs.text.finnish_numbers import spelled

SPACES = re.compile(r"\s+")
ABBREVIATIONS = {
    "esim.": "esimerkiksi",
    "mm.": "muun muassa",
    "ym.": "ynnä muuta",
    "yms.": "ynnä muuta sellaista",
    "jne.": "ja niin edelleen",
    "ks.": "katso",
    "vrt.": "vertaa",
    "ts.": "toisin sanoen",
    "n.": "noin",
    "klo": "kello",
    "nro": "numero",
    "puh.": "puhelin",
    "prof.": "professori",
    "tri": "tohtori",
}
"""in lower case, and with their full stop"""
SIGNS = {"&": " ja ", "%": " prosenttia ", "€": " euroa "}
AS_HEARD = str.maketrans(dict(zip("éèêëáàâíìóòôúùûüñçšž", "eeeeaaaiiooouuuuncsz", strict=True)))
"""letters of names that a recogniser may write without their mark; å, ä and ö are not among them"""
_SHORT = re.compile(
    r"(?<![\w.])("
    + "|".join(map(re.escape, sorted(ABBREVIATIONS, key=len, reverse=True)))
    + r")(?!\w)"
)
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
        plain = spelled(plain)[0].lower()
        plain = _SHORT.sub(lambda found: ABBREVIATIONS[found[0]], plain)
        plain = _SIGN.sub(lambda found: SIGNS[found[0]], plain).translate(AS_HEARD)
    plain = _INSIDE.sub("", plain.lower())
    return SPACES.sub(" ", _OTHER.sub(" ", plain)).strip()
