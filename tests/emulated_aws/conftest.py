"""What the tests on the emulated AWS may ask for."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from rig import image
from rig.cloud import EmulatedAws
from rig.timeline import Timeline

LOGS = image.FOLDER / "logs"
TIMELINES = pytest.StashKey[list[Timeline]]()


@pytest.fixture(scope="session")
def emulated_aws(request: pytest.FixtureRequest) -> Iterator[EmulatedAws]:
    """One AWS and one laptop for the whole session; nothing of them is left behind, but for logs
    of a session with failures."""
    with EmulatedAws() as cloud:
        yield cloud
        if request.session.testsfailed:
            cloud.keep_logs(LOGS)


@pytest.fixture
def timeline(request: pytest.FixtureRequest) -> Timeline:
    """Printed when the session is over."""
    timeline = Timeline(request.node.name)
    request.config.stash.setdefault(TIMELINES, []).append(timeline)
    return timeline


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    for timeline in config.stash.get(TIMELINES, []):
        terminalreporter.write_line("")
        terminalreporter.write_line(timeline.table())
