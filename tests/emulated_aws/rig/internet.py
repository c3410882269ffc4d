"""The emulated internet: the names of `network.NAMES` over HTTPS, and who vouches for them."""

from __future__ import annotations

import ssl
import subprocess
import threading
from collections.abc import Mapping
from http.server import ThreadingHTTPServer
from pathlib import Path

from rig import network
from rig.sites import Site, handler_of


def certificate(folder: Path) -> Path:
    """Of the authority that vouches for all of it; laptop and instances have to trust it."""
    return folder / "internet.pem"


def serve(folder: Path, sites: Mapping[str, Site]) -> None:
    """Answers by host name; whatever else is asked only hears that the network is up."""
    key = folder / "internet.key"
    vouched_for = [f"IP:{network.INTERNET}", *(f"DNS:{name}" for name in network.NAMES)]
    name = ["-subj", "/CN=internet", "-addext", f"subjectAltName={','.join(vouched_for)}"]
    files = ["-keyout", str(key), "-out", str(certificate(folder))]
    make = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"]
    subprocess.run([*make, *name, *files], check=True, stderr=subprocess.DEVNULL)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate(folder), key)
    for address in (network.INTERNET, network.GATEWAY):
        server = ThreadingHTTPServer((address, 443), handler_of(sites))
        server.socket = context.wrap_socket(server.socket, server_side=True)
        threading.Thread(target=server.serve_forever, daemon=True).start()
