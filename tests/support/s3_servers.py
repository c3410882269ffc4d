"""Servers that speak S3, on loopback, or at this end of a link to nowhere else."""

from __future__ import annotations

import socket
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import boto3
from moto.server import ThreadedMotoServer

from atomic_moto import make_puts_atomic
from fintts_store.backends.s3.addresses.address import S3Address
from fintts_store.backends.s3.transfer.parts import Parts
from fintts_store.network.patience import PATIENT

BUCKET = "fintts-test"
KEY, SECRET = "testing", "only-on-loopback"
"""moto takes any, radosgw this one alone"""
UP_WITHIN_SECONDS = 120.0
QUICK = replace(PATIENT, first_pause_seconds=0.001)
"""as patient, without long pauses"""
SMALL = Parts(single_put_below=5 * 2**20, part_bytes=5 * 2**20)
"""the smallest that S3 takes"""


def free_ports(count: int) -> list[int]:
    """Ports of 127.0.0.1 that nobody listens on."""
    sockets = [socket.socket() for _ in range(count)]
    for one in sockets:
        one.bind(("127.0.0.1", 0))
    ports = [int(one.getsockname()[1]) for one in sockets]
    for one in sockets:
        one.close()
    return ports


def await_answer(url: str) -> None:
    """Returns when the server there answers, whatever it says."""
    deadline = time.monotonic() + UP_WITHIN_SECONDS
    while True:
        try:
            urllib.request.urlopen(url, timeout=2).close()
        except urllib.error.HTTPError:
            return
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.2)
        else:
            return


@contextmanager
def moto_server(address: str = "127.0.0.1") -> Iterator[str]:
    """AWS's S3 as moto emulates it; the URL of its endpoint."""
    make_puts_atomic()
    server = ThreadedMotoServer(ip_address=address, port=0, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        yield f"http://{host}:{port}"
    finally:
        server.stop()


def make_bucket(endpoint_url: str, name: str = BUCKET) -> S3Address:
    """A new bucket, and the address of an empty store in it."""
    client = boto3.client("s3", endpoint_url=endpoint_url, region_name="us-east-1")
    client.create_bucket(Bucket=name)
    return S3Address(name, "teams/speech/", endpoint_url=endpoint_url, addressing="path")
