"""Why no cloud gave an instance, from what SkyPilot wrote while it tried."""

from __future__ import annotations

import pytest

from fintts_cli.infra.sky.refusals import Reason, refusal, refusals_in

ON_AWS = """\
⚙︎ Launching on AWS us-east-1 (us-east-1b,us-east-1c).
W 11-28 19:37:50 PID=217 instance.py:415] create_instances: Attempt failed with An error occurred \
(VcpuLimitExceeded) when calling the RunInstances operation (reached max retries: 0): You have \
requested more vCPU capacity than your current vCPU limit of 0 allows.
AWS handler error: Failed to launch instances. Max attempts exceeded.
sky.exceptions.ResourcesUnavailableError: Failed to acquire resources in all zones in us-east-1.

↺ Trying other potential resources.
⚙︎ Launching on AWS us-west-2 (us-west-2a,us-west-2b).
W 11-28 19:37:52 PID=217 instance.py:415] create_instances: Attempt failed with An error occurred \
(InsufficientInstanceCapacity) when calling the RunInstances operation (reached max retries: 0): \
We have no capacity here at present.
"""
"""as SkyPilot 0.14.1 wrote it on the emulated AWS, shortened"""
ON_GCP = """\
⚙︎ Launching on GCP us-central1 (us-central1-a).
Got return codes 'ZONE_RESOURCE_POOL_EXHAUSTED' in us-central1-a: 'The zone has not enough'
⚙︎ Launching on GCP europe-west4 (europe-west4-a).
Got return codes 'quotaExceeded' in europe-west4-a: "Quota 'GPUS_ALL_REGIONS' exceeded."
"""


class ResourcesUnavailableError(Exception):
    """SkyPilot's own, by that name."""


def test_each_place_has_its_reason() -> None:
    assert refusals_in(ON_AWS) == {
        "aws/us-east-1": Reason.QUOTA,
        "aws/us-west-2": Reason.CAPACITY,
    }
    assert refusals_in(ON_GCP) == {
        "gcp/us-central1": Reason.CAPACITY,
        "gcp/europe-west4": Reason.QUOTA,
    }


def test_what_a_person_can_mend_comes_first() -> None:
    error = refusal(ResourcesUnavailableError("Failed to provision"), ON_AWS)
    assert error is not None
    assert error.message == (
        "no instance is available: no quota for this account in aws/us-east-1; "
        "no capacity in aws/us-west-2"
    )
    assert error.hint is not None
    assert "ask the cloud for quota" in error.hint


@pytest.mark.parametrize("said", ["", "VcpuLimitExceeded", "⚙︎ Launching on AWS us-east-1.\n"])
def test_where_no_reason_is_known_none_is_made_up(said: str) -> None:
    assert refusal(ResourcesUnavailableError("Failed to provision"), said) is None


def test_another_error_is_not_put_down_to_a_place_that_refused_before() -> None:
    assert refusal(RuntimeError("the set-up failed"), ON_AWS) is None
