"""Ceph's object gateway on loopback: a monitor, one OSD in memory, and radosgw over HTTP and TLS.

    python tests/support/radosgw.py        # prints both URLs and serves until Ctrl-C

It is the real thing to test a store against: it checks secrets, clocks and policies, and of eight
conditional writes exactly one wins. Debian's packages: radosgw ceph-mon ceph-osd ceph-common.
"""

from __future__ import annotations

import shutil
import subprocess
import tempfile
import time
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from s3_servers import KEY, SECRET, UP_WITHIN_SECONDS, await_answer, free_ports

PROGRAMS = ("ceph-mon", "ceph-osd", "ceph", "radosgw", "radosgw-admin", "monmaptool", "openssl")

CONFIGURATION = """\
[global]
fsid = {fsid}
mon host = [v2:127.0.0.1:{mon_v2},v1:127.0.0.1:{mon_v1}]
public addr = 127.0.0.1
cluster addr = 127.0.0.1
auth cluster required = none
auth service required = none
auth client required = none
ms mon client mode = crc
ms cluster mode = crc
ms service mode = crc
ms client mode = crc
run dir = {folder}
admin socket = {folder}/$name.asok
log file = {folder}/$name.log
crash dir = {folder}
mon allow pool size one = true
mon max pg per osd = 1000
mon warn on pool no redundancy = false
osd pool default size = 1
osd pool default min size = 1
osd pool default pg num = 8
osd pool default pgp num = 8
osd pool default pg autoscale mode = off
osd crush chooseleaf type = 0
osd objectstore = memstore
memstore device bytes = {bytes}
[mon]
mon data = {folder}/mon
[osd]
osd data = {folder}/osd
[client.rgw]
rgw data = {folder}/rgw
rgw enable usage log = false
rgw enable ops log = false
rgw gc obj min wait = 1
rgw gc processor period = 1
rgw frontends = beast endpoint=127.0.0.1:{http} ssl_endpoint=127.0.0.1:{https} \
ssl_certificate={folder}/certificate.pem ssl_private_key={folder}/key.pem tcp_nodelay=1
"""
MEMORY_BYTES = 4 * 1024**3


@dataclass(frozen=True)
class Radosgw:
    """A gateway that answers."""

    url: str
    tls_url: str
    certificate: Path
    """of its own authority: what AWS_CA_BUNDLE must name for `tls_url`"""


def missing_programs() -> list[str]:
    """What is not installed here."""
    return [program for program in PROGRAMS if shutil.which(program) is None]


@contextmanager
def radosgw(memory_bytes: int = MEMORY_BYTES) -> Iterator[Radosgw]:
    """Starts all of it in a temporary folder; ends and removes it with the block.

    Args:
        memory_bytes: for all objects; of those that are deleted it is free a moment later.
    """
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="radosgw-")))
        cluster = _Cluster(folder, memory_bytes)
        stack.callback(cluster.stop)
        cluster.start()
        yield Radosgw(
            f"http://127.0.0.1:{cluster.http}",
            f"https://127.0.0.1:{cluster.https}",
            folder / "certificate.pem",
        )


class _Cluster:
    """The daemons, in the order in which they need each other."""

    def __init__(self, folder: Path, memory_bytes: int) -> None:
        self._folder, self._memory_bytes = folder, memory_bytes
        self._daemons: list[subprocess.Popen[bytes]] = []
        self._mon_v1, self._mon_v2, self.http, self.https = free_ports(4)
        self._fsid = str(uuid.uuid4())

    def start(self) -> None:
        self._write_configuration()
        self._make_certificate()
        self._start_monitor()
        self._start_osd()
        self._daemon("radosgw", "-n", "client.rgw", "-f")
        await_answer(f"http://127.0.0.1:{self.http}")
        self._run(
            *("radosgw-admin", "user", "create", "--uid=test", "--display-name=test"),
            *("--access-key", KEY, "--secret", SECRET),
        )

    def stop(self) -> None:
        for daemon in reversed(self._daemons):
            daemon.kill()
            daemon.wait()

    def _write_configuration(self) -> None:
        for name in ("mon", "osd", "rgw"):
            (self._folder / name).mkdir()
        text = CONFIGURATION.format(
            fsid=self._fsid,
            folder=self._folder,
            bytes=self._memory_bytes,
            mon_v1=self._mon_v1,
            mon_v2=self._mon_v2,
            http=self.http,
            https=self.https,
        )
        (self._folder / "ceph.conf").write_text(text)

    def _make_certificate(self) -> None:
        self._call(
            *("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"),
            *("-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1"),
            *("-keyout", str(self._folder / "key.pem")),
            *("-out", str(self._folder / "certificate.pem")),
        )

    def _start_monitor(self) -> None:
        monmap = str(self._folder / "monmap")
        place = f"[v2:127.0.0.1:{self._mon_v2},v1:127.0.0.1:{self._mon_v1}]"
        self._call("monmaptool", "--create", "--addv", "a", place, "--fsid", self._fsid, monmap)
        self._run("ceph-mon", "-i", "a", "--mkfs", "--monmap", monmap)
        self._daemon("ceph-mon", "-i", "a", "-f")

    def _start_osd(self) -> None:
        number = str(uuid.uuid4())
        self._run("ceph", "--connect-timeout", "60", "osd", "new", number)
        self._run("ceph-osd", "-i", "0", "--mkfs", "--osd-uuid", number)
        self._daemon("ceph-osd", "-i", "0", "-f")

    def _daemon(self, *command: str) -> None:
        with (self._folder / f"{command[0]}.out").open("wb") as output:
            daemon = subprocess.Popen(
                [*command, "-c", str(self._folder / "ceph.conf")],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
            )
        self._daemons.append(daemon)

    def _run(self, *command: str) -> None:
        self._call(*command, "-c", str(self._folder / "ceph.conf"))

    def _call(self, *command: str) -> None:
        done = subprocess.run(
            command, capture_output=True, text=True, check=False, timeout=UP_WITHIN_SECONDS
        )
        if done.returncode != 0:
            raise RuntimeError(f"{' '.join(command)}: {done.stderr[-2000:]}")


if __name__ == "__main__":
    with radosgw() as gateway:
        print(gateway.url, gateway.tls_url, f"AWS_CA_BUNDLE={gateway.certificate}")  # noqa: T201
        print(f"AWS_ACCESS_KEY_ID={KEY} AWS_SECRET_ACCESS_KEY={SECRET}")  # noqa: T201
        with suppress(KeyboardInterrupt):
            time.sleep(1e9)
