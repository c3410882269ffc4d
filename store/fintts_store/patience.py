"""How long to wait for a store: a trainer waits long, a command that shows something does not, and
one that carries much does not before the server has answered once."""

from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True)
class Patience:
    """The limits of one request to a store that is reached over a network."""

    tries: int
    """how often a request is made that fails for a reason that may pass"""
    connect_seconds: float
    silent_seconds: float
    """without a byte from the server"""
    total_seconds: float
    """for a whole request, beside the time that its bytes need on a slow line"""
    at_first: "Patience | None" = None
    """until the server has answered once; None for the same"""


PATIENT = Patience(tries=6, connect_seconds=10, silent_seconds=45, total_seconds=120)
"""For what goes on by itself: a trainer"""
IMPATIENT = Patience(tries=2, connect_seconds=3, silent_seconds=6, total_seconds=6)
"""For a command that shows something: a server that hangs is named within 15 seconds"""
CARRYING = replace(PATIENT, at_first=IMPATIENT)
"""For a command that transfers much: a missing server is reported within seconds"""
