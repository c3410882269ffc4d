"""How long to wait for a store: long in a trainer, briefly in a command that shows something, and
briefly for the first answer in a command that transfers much."""

from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True)
class Patience:
    """The limits of one request to a store over a network."""

    tries: int
    """how often to try a request that fails temporarily"""
    connect_seconds: float
    silent_seconds: float
    """without a byte from the server"""
    total_seconds: float
    """for a whole request, plus the time that its bytes need on a slow line"""
    at_first: "Patience | None" = None
    """until the server has answered once; None for the same limits"""
    first_pause_seconds: float = 0.2
    """before the second try; each further pause is twice as long"""

    def pause_seconds(self, failures: int) -> float:
        """How long to wait after so many tries have failed, one or more."""
        return self.first_pause_seconds * 2.0 ** (failures - 1)


PATIENT = Patience(tries=6, connect_seconds=10, silent_seconds=45, total_seconds=120)
"""For unattended work: a trainer"""
IMPATIENT = Patience(tries=2, connect_seconds=3, silent_seconds=6, total_seconds=6)
"""For a command that shows something: a hanging server is reported within 15 seconds"""
CARRYING = replace(PATIENT, at_first=IMPATIENT)
"""For a command that transfers much: a missing server is reported within seconds"""
