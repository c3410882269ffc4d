"""The tools that `benchmarks/store.py` compares."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import sys
from contextlib import closing, contextmanager
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
from fintts_store.network.parallel import in_parallel
from fintts_store.runs.claims import take_claim
from fintts_store.store import CHUNK_BYTES
from s3_servers import BUCKET, KEY, SECRET

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from fintts_store.backends.s3.addresses.address import S3Address
    from fintts_store.checkpoints.manifest import Manifest

RUN, REGION = "measured", "us-east-1"


class Tool(Protocol):
    """Copies folders into the bucket and back."""

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
    """Transfers files like a commit and a restore, without their other work."""

    name = "its bytes"

    def __init__(self, address: S3Address) -> None:
        self._store = S3Store(address)
        self._store.list("bytes/")  # the first call makes the client, which is not measured
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
    """The time that server and kernels need for the same bytes, with almost no other work."""

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
        """`everything`: the pattern for all keys below a prefix."""
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
    """The tools that are installed; names the others on standard error."""
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
        print(f"not installed, so left out: {', '.join(sorted(missing))}", file=sys.stderr)
    return tools
