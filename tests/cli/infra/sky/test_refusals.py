"""Why no cloud gave an instance, from what SkyPilot wrote while it tried."""

from __future__ import annotations

import pytest

from fintts_cli.infra.sky.launch.refusals import (
    HINTS,
    Reason,
    answers_in,
    in_the_seller_s_words,
    is_refused_everywhere,
    refusal,
)

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


def reasons(said: str) -> dict[str, Reason]:
    return {place: answer.reason for place, answer in answers_in(said).items()}


def test_each_place_has_its_reason() -> None:
    assert reasons(ON_AWS) == {
        "aws/us-east-1": Reason.QUOTA,
        "aws/us-west-2": Reason.CAPACITY,
    }
    assert reasons(ON_GCP) == {
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


@pytest.mark.parametrize(
    ("cloud", "line", "reason"),
    [
        ("RunPod CA", "There are no longer any instances available with the requested", "CAPACITY"),
        ("RunPod CA", "There are not enough free GPUs on the host machine to start", "CAPACITY"),
        ("RunPod CA", "Your account balance is too low to rent this pod.", "BALANCE"),
        ("RunPod CA", "Unauthorized request, please check your API key.", "KEY"),
        ("Verda FIN-01", "Details: error code: service_unavailable", "CAPACITY"),
        ("Verda FIN-01", "message: Not enough resources", "CAPACITY"),
        ("Verda FIN-01", "error code: insufficient_funds", "BALANCE"),
        ("Verda FIN-01", "error code: unauthorized_request", "KEY"),
        ("Verda FIN-01", "error code: too_many_requests", "TOO_OFTEN"),
        ("Lambda us-east-1", "instance-operations/launch/insufficient-capacity: Not", "CAPACITY"),
        ("Lambda us-east-1", "global/quota-exceeded: Quota exceeded.", "QUOTA"),
        ("Lambda us-east-1", "global/account-inactive: Your account is inactive.", "BALANCE"),
        ("Lambda us-east-1", "global/invalid-api-key: API key was invalid.", "KEY"),
        ("Lambda us-east-1", "Your API requests are being rate limited.", "TOO_OFTEN"),
        (
            "Vast US",
            "Failed to create instances, could not find an offer that satisfies",
            "CAPACITY",
        ),
        ("Vast US", "Your account lacks credit; see the billing page.", "BALANCE"),
        ("Vast US", "auth_error: Invalid user key", "KEY"),
        ("GCP us-central1", "Got return codes 'VM_MIN_COUNT_NOT_REACHED'", "CAPACITY"),
        ("GCP us-central1", "reason: BILLING_DISABLED", "BALANCE"),
        ("GCP us-central1", "('invalid_grant: Bad Request')", "KEY"),
        ("Azure eastus", "(OverconstrainedAllocationRequest) Allocation failed.", "CAPACITY"),
        ("Azure eastus", "(ReadOnlyDisabledSubscription) The subscription", "BALANCE"),
        ("Azure eastus", "AADSTS7000215: Invalid client secret provided.", "KEY"),
        ("Nebius eu-north1", "QuotaFailure: compute.instance.gpu.h100", "QUOTA"),
        (
            "AWS us-east-1",
            "An error occurred (RequestLimitExceeded): Request limit exceeded.",
            "TOO_OFTEN",
        ),
        ("Nebius eu-north1", "Rate limit exceeded, retry later", "TOO_OFTEN"),
        ("GCP us-central1", "rateLimitExceeded: Quota exceeded for quota metric", "TOO_OFTEN"),
        ("Nebius eu-north1", "Quota limit exceeded", "QUOTA"),
        ("Nebius eu-north1", "NotEnoughResources: no such preset now", "CAPACITY"),
        ("Nebius eu-north1", "StatusCode.UNAUTHENTICATED", "KEY"),
    ],
)
def test_each_cloud_s_own_words_are_known(cloud: str, line: str, reason: str) -> None:
    said = f"\u2699\ufe0e Launching on {cloud}.\nW 11-28 19:37:50 instance.py:41] {line}\n"
    (found,) = reasons(said).values()
    assert found == Reason[reason]
    error = refusal(ResourcesUnavailableError("Failed"), said)
    assert error is not None
    assert error.hint == HINTS[found]
    assert cloud.replace(" ", "/").lower() in error.message


def test_an_empty_balance_is_told_in_the_seller_s_words() -> None:
    said = "Launching on RunPod CA.\nrun_instances error: Your account balance is too low.\n"
    error = refusal(ResourcesUnavailableError("Failed"), said)
    assert error is not None
    assert error.message == (
        "no instance is available: not enough balance in runpod/ca "
        "(Your account balance is too low)"
    )


def test_an_error_of_the_seller_itself_is_known_by_its_own_words() -> None:
    error = refusal(RuntimeError("global/invalid-api-key: API key was invalid"), "")
    assert error is not None
    assert "the key is refused" in error.message
    assert error.hint == HINTS[Reason.KEY]


def test_places_that_refused_are_named_also_where_skypilot_fails_to_clean_up() -> None:
    """SkyPilot's client has no class of that name."""
    stopped = Exception("StopFailoverError: During provisioner's failover, terminating failed.")
    said = "Launching on Lambda us-east-1.\nLambdaCloudError: global/account-inactive: pay\n"
    error = refusal(stopped, said)
    assert error is not None
    assert "not enough balance in lambda/us-east-1" in error.message


def test_only_a_refusal_at_every_place_means_that_nothing_came() -> None:
    sold_out = "Launching on RunPod CA.\nThere are no longer any instances available\n"
    assert is_refused_everywhere(sold_out)
    assert not is_refused_everywhere(f"{sold_out}Launching on RunPod US.\nTimed out\n")
    assert not is_refused_everywhere("Launching on RunPod CA.\nToo many requests\n")
    assert not is_refused_everywhere("")


def test_a_full_disk_on_the_instance_is_no_lack_of_quota() -> None:
    assert refusal(RuntimeError("rsync: write failed: Disk quota exceeded"), "") is None


def test_a_seller_s_error_is_one_sentence_with_what_to_do() -> None:
    """Verda's client says `error code: X` first; RunPod's has a message of its own."""
    error = RuntimeError("error code: unauthorized_request\nmessage: Invalid client id")
    told = in_the_seller_s_words("Verda", error)
    assert told.message == (
        "Verda says: error code: unauthorized_request message: Invalid client id"
    )
    assert told.hint == HINTS[Reason.KEY]
    error.message = "Invalid client id or secret"  # type: ignore[attr-defined]  # as Verda's has
    assert in_the_seller_s_words("Verda", error).message == (
        "Verda says: Invalid client id or secret"
    )
