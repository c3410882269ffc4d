"""What the tests on the emulated AWS may ask for."""

from __future__ import annotations

import pytest


def pytest_configure(config: pytest.Config) -> None:
    config.pluginmanager.import_plugin("rig.plugin")
