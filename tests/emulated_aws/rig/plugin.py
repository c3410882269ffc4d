"""What the tests on the emulated clouds share: one rig for each enclosure, and timelines."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from rig import image
from rig.cloud import EmulatedAws
from rig.clouds import EmulatedClouds
from rig.timeline import Timeline

LOGS = image.FOLDER / "logs"
TIMELINE = "timeline"
"""the name under which a test's report carries it, from the enclosure out to the terminal"""


@pytest.fixture(scope="session")
def emulated_aws(request: pytest.FixtureRequest, worker_id: str) -> Iterator[EmulatedAws]:
    """One AWS and one laptop for all tests of an enclosure; nothing of them is left behind, but
    for logs of a session with failures."""
    with EmulatedAws() as cloud:
        cloud.check("aws")
        yield cloud
        if request.session.testsfailed:
            cloud.keep_logs(LOGS / worker_id)


@pytest.fixture(scope="module")
def emulated_clouds(emulated_aws: EmulatedAws) -> Iterator[EmulatedClouds]:
    """The same laptop with a key of each seller, for the tests of a file."""
    with EmulatedClouds(emulated_aws) as clouds:
        yield clouds


@pytest.fixture(scope="module")
def rentable_clouds(emulated_clouds: EmulatedClouds) -> EmulatedClouds:
    """The same, and SkyPilot may rent there."""
    emulated_clouds.check()
    return emulated_clouds


@pytest.fixture
def timeline(request: pytest.FixtureRequest) -> Iterator[Timeline]:
    """Printed when the session is over."""
    timeline = Timeline(request.node.name)
    yield timeline
    request.node.user_properties.append((TIMELINE, timeline.table()))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest files first, so that in the end no enclosure waits for another one's."""
    longest = {item.path: 0.0 for item in items}
    for item in items:
        longest[item.path] = max(longest[item.path], _longest_seconds(item))
    items.sort(key=lambda item: longest[item.path], reverse=True)


def _longest_seconds(item: pytest.Item) -> float:
    """What a test on the cloud may take; 0 for the others, which stay in their order."""
    limit = item.get_closest_marker("timeout")
    is_on_cloud = item.get_closest_marker("cloud") is not None
    return float(limit.args[0]) if is_on_cloud and limit is not None else 0.0


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    for report in terminalreporter.getreports(""):
        for name, table in report.user_properties if report.when == "teardown" else ():
            if name == TIMELINE:
                terminalreporter.write_line(f"\n{table}")
