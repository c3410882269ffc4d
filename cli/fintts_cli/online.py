"""Whether this machine has a network at all."""

from __future__ import annotations

import socket

ANY_SERVER = {socket.AF_INET: "192.0.2.1", socket.AF_INET6: "2001:db8::1"}
"""addresses of the documentation; nothing is sent to them"""


def is_online() -> bool:
    """Whether this machine has an address besides its loopback. Without one no server can answer,
    and asking would only wait."""
    return any(map(_has_address, ANY_SERVER))


def _has_address(family: socket.AddressFamily) -> bool:
    try:
        socket.getaddrinfo(ANY_SERVER[family], None, family, flags=socket.AI_ADDRCONFIG)
    except OSError:
        return False
    return True
