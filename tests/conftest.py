"""What every test may ask for."""

from __future__ import annotations

import gc
import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import boto3
import pytest
from hypothesis import settings

# Threads of OpenMP spin while they wait for each other: where the machine is busy with anything
# else, two of them are many times slower than one.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import openstack_swift
from radosgw import Radosgw, missing_programs, radosgw
from s3_servers import KEY, SECRET, moto_server

# Whoever is started in the background, or by nohup, ignores these, and so would all that a test
# starts and then interrupts.
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
if signal.getsignal(signal.SIGHUP) == signal.SIG_IGN:
    signal.signal(signal.SIGHUP, signal.SIG_DFL)

# How long an example takes says how busy the machine is.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")

# Until all tests are known nothing but modules is made, and those stay.
gc.disable()

GOLDEN = Path(__file__).parent / "golden"
LONG = ("long", "end_to_end")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--update-golden", action="store_true", help="rewrite the golden files")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest first, so that in the end no process works alone."""
    items.sort(key=lambda item: not any(map(item.get_closest_marker, LONG)))


def pytest_collection_finish() -> None:
    gc.freeze()
    gc.enable()


@pytest.fixture
def golden(request: pytest.FixtureRequest) -> Callable[[str, str], None]:
    """golden(NAME, TEXT) compares with tests/golden/NAME, or rewrites it with --update-golden."""
    update = request.config.getoption("--update-golden")

    def compare(name: str, text: str) -> None:
        path = GOLDEN / name
        if update:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        assert path.exists(), f"no {path}: run pytest --update-golden once and read the result"
        assert text == path.read_text()

    return compare


@pytest.fixture(scope="module", autouse=True)
def _boto3_forgets_the_keys_of_other_modules() -> None:
    """Its default session keeps the first credentials that it found for as long as the process
    lives."""
    boto3.DEFAULT_SESSION = None


@pytest.fixture(scope="session")
def s3_credentials() -> Iterator[None]:
    """In the environment, as boto3 looks for them."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ACCESS_KEY_ID", KEY)
        patch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
        patch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        patch.delenv("AWS_PROFILE", raising=False)
        yield


@pytest.fixture(scope="session")
def moto_endpoint(s3_credentials: None) -> Iterator[str]:
    """The URL of an emulated S3, for the whole session."""
    with moto_server() as url:
        yield url


@pytest.fixture(scope="session")
def gateway(s3_credentials: None) -> Iterator[Radosgw]:
    """Ceph's object gateway, for the whole session; where it is not installed tests are skipped,
    but not on CI."""
    missing = missing_programs()
    if missing and not os.environ.get("CI"):
        pytest.skip(f"not installed: {', '.join(missing)}; make packages installs them")
    with radosgw() as running:
        yield running


@pytest.fixture(scope="module")
def swift_endpoint() -> Iterator[str]:
    """The URL of OpenStack Swift's S3, with its credentials in the environment."""
    if not openstack_swift.is_installed() and not os.environ.get("CI"):
        pytest.skip("Swift is not installed; make servers installs it")
    with pytest.MonkeyPatch.context() as patch, openstack_swift.swift() as url:
        patch.setenv("AWS_ACCESS_KEY_ID", openstack_swift.SWIFT_KEY)
        patch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
        patch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        patch.delenv("AWS_PROFILE", raising=False)
        yield url
