"""What fintts believes of SkyPilot's clouds is what SkyPilot itself says of them."""

from __future__ import annotations

from typing import Any

import pytest

from fintts_cli.infra.sky.ending.ending import ENDINGS
from fintts_cli.infra.sky.server.keys import BY_SETTING, IDENTITY, KEY_FILES, NO_UPLOAD
from fintts_cli.infra.sky.server.sdk import import_sky
from fintts_cost.prices.clouds import CLOUDS

OWN_MACHINES = {"kubernetes", "k8s", "slurm", "ssh"}
"""no seller"""


@pytest.fixture(scope="module")
def sky(tmp_path_factory: pytest.TempPathFactory) -> Any:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOME", str(tmp_path_factory.mktemp("home")))
        return import_sky()


def lacking(sky: Any, feature: str) -> set[str]:
    """The sellers whose cloud cannot do that, as SkyPilot has it."""
    registry = sky.utils.registry.CLOUD_REGISTRY
    wanted = sky.clouds.CloudImplementationFeatures[feature]
    return {
        name
        for name, cloud in registry.items()
        if name not in OWN_MACHINES
        and wanted in cloud._unsupported_features_for_resources(sky.Resources(), None)
    }


def test_the_clouds_without_spot_and_without_autodown_are_skypilot_s(sky: Any) -> None:
    without_autodown = {name for name, cloud in CLOUDS.items() if not cloud.has_autodown}
    assert lacking(sky, "SPOT_INSTANCE") == {
        name for name, cloud in CLOUDS.items() if not cloud.has_spot
    }
    assert lacking(sky, "AUTODOWN") == without_autodown
    assert {cloud for cloud, each in ENDINGS.items() if not each.has_managed_jobs} == (
        without_autodown
    )


def test_each_cloud_of_skypilot_s_has_a_place_for_its_key(sky: Any) -> None:
    sellers = set(sky.utils.registry.CLOUD_REGISTRY) - OWN_MACHINES
    assert sellers == set(KEY_FILES) - OWN_MACHINES
    assert sellers <= set(CLOUDS)


@pytest.mark.parametrize("cloud", sorted({*BY_SETTING, *KEY_FILES}))
def test_skypilot_takes_the_setting_that_keeps_a_key_here_for_just_these_clouds(
    sky: Any, cloud: str
) -> None:
    setting = {cloud: {IDENTITY: NO_UPLOAD}}
    config = sky.skypilot_config
    try:
        with config.override_skypilot_config(setting):
            taken = config.get_nested((cloud, IDENTITY), None) == NO_UPLOAD
    except sky.exceptions.InvalidSkyPilotConfigError:
        taken = False
    assert taken is (cloud in BY_SETTING)
