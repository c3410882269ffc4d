"""OpenStack Swift on loopback: account, container, object and proxy server with `s3api`, one node.

    python tests/support/openstack_swift.py        # prints its URL and serves until Ctrl-C

It is a server that does not keep the promise: of several conditional writes at once more than one
wins. `tests/install_swift.sh` installs it into an environment of its own. Each of its servers
would change to a user `swift` if it were not told who starts it.
"""

from __future__ import annotations

import getpass
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from s3_servers import SECRET, UP_WITHIN_SECONDS, await_answer, free_ports

PROGRAMS = Path(__file__).parents[2] / ".test-servers/swift/bin"
ACCOUNT, USER = "test", "tester"
SWIFT_KEY = f"{ACCOUNT}:{USER}"
"""tempauth's account and user; its secret is that of the other servers"""
KINDS = ("account", "container", "object")

COMMON = """\
[swift-hash]
swift_hash_path_suffix = a-test
[storage-policy:0]
name = one
default = yes
"""
SERVER = """\
[DEFAULT]
bind_ip = 127.0.0.1
bind_port = {port}
workers = 0
user = {user}
swift_dir = {folder}
"""
STORAGE = (
    SERVER
    + """\
devices = {folder}/devices
mount_check = false
[pipeline:main]
pipeline = {kind}-server
[app:{kind}-server]
use = egg:swift#{kind}
"""
)
PROXY = (
    SERVER
    + """\
[pipeline:main]
pipeline = catch_errors gatekeeper listing_formats s3api tempauth bulk slo proxy-server
[app:proxy-server]
use = egg:swift#proxy
account_autocreate = true
[filter:catch_errors]
use = egg:swift#catch_errors
[filter:gatekeeper]
use = egg:swift#gatekeeper
[filter:listing_formats]
use = egg:swift#listing_formats
[filter:s3api]
use = egg:swift#s3api
location = us-east-1
[filter:tempauth]
use = egg:swift#tempauth
user_{account}_{name} = {secret} .admin
[filter:bulk]
use = egg:swift#bulk
[filter:slo]
use = egg:swift#slo
"""
)
RINGS = f"""
import sys
from swift.common.ring import RingBuilder
folder, *ports = sys.argv[1:]
for kind, port in zip({KINDS!r}, ports):
    ring = RingBuilder(0, 1, 1)
    ring.add_dev(dict(region=1, zone=1, ip="127.0.0.1", port=int(port), device="disk", weight=1))
    ring.rebalance()
    ring.get_ring().save(f"{{folder}}/{{kind}}.ring.gz")
"""


def is_installed() -> bool:
    """Whether the servers can be started here."""
    return (PROGRAMS / "swift-proxy-server").exists()


@contextmanager
def swift() -> Iterator[str]:
    """The URL of its S3, for as long as the block lasts; nothing of it is left then."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="swift-")))
        yield _start(folder, stack)


def _start(folder: Path, stack: ExitStack) -> str:
    (folder / "devices/disk").mkdir(parents=True)
    (folder / "swift.conf").write_text(COMMON)
    *ports, proxy = free_ports(len(KINDS) + 1)
    _make_rings(folder, ports)
    common = {"folder": folder, "user": getpass.getuser()}
    for kind, port in zip(KINDS, ports, strict=True):
        text = STORAGE.format(kind=kind, port=port, **common)
        stack.enter_context(_serving(folder, kind, text))
    text = PROXY.format(port=proxy, account=ACCOUNT, name=USER, secret=SECRET, **common)
    stack.enter_context(_serving(folder, "proxy", text))
    urls = [f"http://127.0.0.1:{port}" for port in (*ports, proxy)]
    for url in urls:
        await_answer(url)
    return urls[-1]


def _make_rings(folder: Path, ports: Sequence[int]) -> None:
    """One part on one disk, for each kind of server."""
    python = str(PROGRAMS / "python")
    command = [python, "-I", "-c", RINGS, str(folder), *map(str, ports)]
    subprocess.run(command, check=True, capture_output=True, timeout=UP_WITHIN_SECONDS)


@contextmanager
def _serving(folder: Path, kind: str, configuration: str) -> Iterator[None]:
    path = folder / f"{kind}-server.conf"
    path.write_text(configuration)
    with (folder / f"{kind}.out").open("wb") as output:
        server = subprocess.Popen(
            [PROGRAMS / f"swift-{kind}-server", path],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
        )
    try:
        yield
    finally:
        server.kill()
        server.wait()


if __name__ == "__main__":
    if not is_installed():
        raise SystemExit(f"no {PROGRAMS}: make servers installs it")
    with swift() as address:
        print(f"{address} AWS_ACCESS_KEY_ID={SWIFT_KEY} AWS_SECRET_ACCESS_KEY={SECRET}")  # noqa: T201
        with suppress(KeyboardInterrupt):
            time.sleep(1e9)
