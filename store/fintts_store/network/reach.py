"""Whether a rented instance can reach a server that this machine reaches, judged by the URL.

Proxy settings stay on this machine: a proxy serves one network, its address may contain a password,
and an instance reaches public servers without it.
"""

import ipaddress
import os
from dataclasses import dataclass
from urllib.parse import urlsplit

PRIVATE = (".local", ".internal", ".intranet", ".lan", ".corp", ".home", ".home.arpa", ".private")
"""endings of names that are valid only within one network"""


@dataclass(frozen=True, slots=True)
class Obstacle:
    """Why a rented instance cannot reach a server, and what to do about it."""

    message: str
    hint: str


def obstacle_to(server_url: str, shown: str = "") -> Obstacle | None:
    """Why a rented instance cannot reach this server; None if it may be able to.

    Args:
        shown: what the message calls the server, if its URL is a secret.
    """
    server = shown or server_url
    if _is_loopback(urlsplit(server_url).hostname or ""):
        return Obstacle(
            f"a rented instance cannot reach {server}, which is only on this machine",
            "give an address that other machines can reach",
        )
    if _is_private(server_url) and is_proxied(server_url):
        return Obstacle(
            f"this machine reaches {server} through a proxy, which a rented instance does not have",
            "add the server to NO_PROXY if an instance can reach it directly, or use another store",
        )
    return None


def is_proxied(url: str) -> bool:
    """Whether the environment sets a proxy for this server."""
    from urllib.request import getproxies, proxy_bypass  # it loads ssl, which takes 30 ms

    parts, proxies = urlsplit(url), getproxies()
    has_one = parts.scheme in proxies or "all" in proxies
    return has_one and not proxy_bypass(parts.netloc)


def proxy_variable(url: str) -> str:
    """The variable that names the proxy for this server; empty where none does."""
    scheme = urlsplit(url).scheme
    names = (f"{scheme}_proxy", f"{scheme}_proxy".upper())
    return next((name for name in names if os.environ.get(name)), "") if is_proxied(url) else ""


def _is_private(url: str) -> bool:
    """Whether the server's name belongs to a private network."""
    host = urlsplit(url).hostname or ""
    try:
        return not ipaddress.ip_address(host).is_global
    except ValueError:  # a name
        return "." not in host or host.endswith(PRIVATE)


def _is_loopback(host: str) -> bool:
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        address = ipaddress.ip_address(host)
    except ValueError:  # a name
        return False
    return address.is_loopback or address.is_unspecified
