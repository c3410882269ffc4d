"""What SkyPilot 0.14.1 does at the edges of each seller: the facts that our adapters stand on.

Its own provisioners against the sellers' APIs, without SSH. A test that fails after SkyPilot was
renewed names a fact that is no more, and so code of ours to look at again.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from fintts_cli.infra.sky.ending.power_off import LONGEST_RESERVE
from fintts_cli.infra.sky.rentals.record import cluster_of
from rig.clouds import EmulatedClouds
from rig.provisioner import POLL_SECONDS, Provisioner, SkyError
from rig.seller import Seller
from waiting import wait_until

pytestmark = [pytest.mark.cloud, pytest.mark.timeout(300)]

LONGER_THAN_ITS_PATIENCE_SECONDS = 31.0
PODS = "fintts_cli.infra.sky.server.pod_plugin.Pods"
MANY_POLLS_SECONDS = 20 * POLL_SECONDS
UP = {"verda": "running", "runpod": "RUNNING", "lambda": "active"}
TAKEN_FOR = {
    ("verda", "running"): ["UP"],
    ("verda", "error"): ["INIT"],
    ("verda", "offline"): ["STOPPED"],
    ("runpod", "CREATED"): ["INIT"],
    ("runpod", "PAUSED"): ["INIT"],
    ("lambda", "unhealthy"): ["INIT"],
    ("lambda", "terminating"): [],
    ("lambda", "preempted"): [],
}
"""what a seller says of an instance, and what SkyPilot makes of it"""
UNKNOWN_WORDS = [
    *(("verda", word) for word in ("new", "validating", "no_capacity", "deleting", "unknown")),
    *(("runpod", word) for word in ("EXITED", "DEAD", "TERMINATED")),
]
"""of an instance's status: SkyPilot raises KeyError, so it can say nothing of the cluster"""
REFUSALS = [
    ("verda", "sold_out", "ResourcesUnavailableError: .*Details: error code: service_unavailable"),
    ("runpod", "sold_out", "QueryError: There are no longer any instances available"),
    ("lambda", "sold_out", "LambdaCloudError: .*insufficient-capacity.*available: None"),
    # "insufficient" makes SkyPilot speak of capacity, though only the money is lacking.
    ("verda", "without_balance", "Resources are currently unavailable.*: insufficient_funds"),
    ("runpod", "without_balance", "QueryError: Your account balance is too low"),
    ("lambda", "without_balance", "LambdaCloudError: global/account-inactive"),
]


@pytest.fixture(scope="module")
def provisioners(emulated_clouds: EmulatedClouds) -> Iterator[dict[str, Provisioner]]:
    """By the seller's name."""
    started = {
        seller.name: Provisioner.start(seller.name, emulated_clouds.aws.environment)
        for seller in emulated_clouds.sellers
    }
    yield started
    for one in started.values():
        one.kill()


@pytest.fixture(params=["verda", "runpod", "lambda"])
def name(request: pytest.FixtureRequest) -> str:
    """Of the seller."""
    parameter: str = request.param
    return parameter


@pytest.fixture
def seller(emulated_clouds: EmulatedClouds, name: str) -> Iterator[Seller]:
    """It has rented out nothing, and nothing goes wrong."""
    seller = emulated_clouds.seller(name)
    yield seller
    seller.remove_all()


@pytest.fixture
def sky(provisioners: dict[str, Provisioner], name: str) -> Provisioner:
    return provisioners[name]


def test_an_instance_is_made_seen_and_removed(seller: Seller, sky: Provisioner) -> None:
    made = sky.run("v1")
    assert made == seller.billed()
    [one] = seller.rented()[-1:]
    assert (one.name, one.status) == ("v1-on-cloud-head", UP[seller.name])
    assert sky.statuses("v1") == ["UP"]
    sky.terminate("v1")
    assert seller.billed() == []
    assert sky.statuses("v1") == []


@pytest.mark.parametrize("name", ["runpod"], indirect=True)
def test_runpod_itself_ends_a_pod_of_ours_that_nobody_armed(
    emulated_clouds: EmulatedClouds, seller: Seller
) -> None:
    """Nothing of ours runs on the pod or here when its time is over; a stranger's pod stays."""
    sky = Provisioner.start("runpod", emulated_clouds.aws.environment, PODS)
    try:
        [another] = sky.run("v1")  # first, since SkyPilot takes a while to start
        soon = datetime.now(UTC) - LONGEST_RESERVE + timedelta(seconds=30)
        [ours] = sky.run(cluster_of("v2", soon))
    finally:
        sky.kill()
    assert set(seller.billed()) == {ours, another}
    wait_until(lambda: seller.billed() == [another], 60)
    [ended] = [one for one in seller.rented() if one.id == ours]
    assert ended.ended_by == "terminateAfter"
    assert ended.ended_at is not None
    assert -1 <= ended.ended_at - (soon + LONGEST_RESERVE).timestamp() < 30


@pytest.mark.parametrize("name", ["runpod", "lambda"], indirect=True)
def test_a_launch_that_is_repeated_makes_no_second_instance(
    seller: Seller, sky: Provisioner
) -> None:
    made = sky.run("v1")
    assert sky.run("v1") == []
    assert seller.billed() == made


@pytest.mark.parametrize("name", ["verda"], indirect=True)
def test_on_verda_a_launch_that_is_repeated_makes_a_second_instance(
    seller: Seller, sky: Provisioner
) -> None:
    """SkyPilot looks for `ACTIVE` there, which Verda calls `running`."""
    first, second = sky.run("v1"), sky.run("v1")
    assert seller.billed() == first + second


@pytest.mark.parametrize(("name", "status"), TAKEN_FOR, indirect=["name"])
def test_what_skypilot_makes_of_a_status(seller: Seller, sky: Provisioner, status: str) -> None:
    [made] = sky.run("v1")
    seller.set_status(made, status)
    assert sky.statuses("v1") == TAKEN_FOR[seller.name, status]
    assert seller.billed() == [made], "it is paid for all the same"


@pytest.mark.parametrize(("name", "status"), UNKNOWN_WORDS, indirect=["name"])
def test_a_status_that_skypilot_does_not_know(
    seller: Seller, sky: Provisioner, status: str
) -> None:
    [made] = sky.run("v1")
    seller.set_status(made, status)
    with pytest.raises(SkyError, match=f"KeyError: '{status}'"):
        sky.statuses("v1")


@pytest.mark.parametrize(("name", "fault", "words"), REFUSALS, indirect=["name"])
def test_a_refusal_has_the_sellers_words(
    seller: Seller, sky: Provisioner, fault: str, words: str
) -> None:
    with seller.with_faults(**{fault: True}), pytest.raises(SkyError, match=f"(?s){words}"):
        sky.run("v1")
    assert seller.billed() == []


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("verda", "VerdaException: error code: unauthorized_request"),
        ("runpod", "AuthenticationError: Unauthorized request, please check your API key"),
        ("lambda", "LambdaCloudError: global/invalid-api-key"),
    ],
    indirect=["name"],
)
def test_a_wrong_key_has_the_sellers_words(
    emulated_clouds: EmulatedClouds, name: str, words: str
) -> None:
    with emulated_clouds.with_wrong_keys():
        sky = Provisioner.start(name, emulated_clouds.aws.environment)
        with pytest.raises(SkyError, match=words):
            sky.run("v1")
        sky.kill()


@pytest.mark.parametrize(
    ("name", "words"),
    [("verda", "VerdaException.*too_many_requests"), ("runpod", "QueryError: Too many requests")],
    indirect=["name"],
)
def test_who_is_turned_away_once_fails_at_once(
    seller: Seller, sky: Provisioner, words: str
) -> None:
    with seller.with_faults(throttled=1), pytest.raises(SkyError, match=words):
        sky.statuses("v1")


@pytest.mark.parametrize("name", ["lambda"], indirect=True)
def test_lambda_is_asked_again_by_who_is_turned_away(seller: Seller, sky: Provisioner) -> None:
    with seller.with_faults(throttled=2):
        assert sky.statuses("v1") == []
    assert [call.status for call in seller.calls()[-3:]] == [429, 429, 200]


def test_half_a_minute_for_an_answer(
    emulated_clouds: EmulatedClouds, provisioners: dict[str, Provisioner]
) -> None:
    """RunPod's library waits for 30 s, SkyPilot at Verda and Lambda for ever."""
    verda, runpod, lambda_cloud = emulated_clouds.sellers
    slow = {"slow_seconds": LONGER_THAN_ITS_PATIENCE_SECONDS}
    with verda.with_faults(**slow), runpod.with_faults(**slow), lambda_cloud.with_faults(**slow):
        for sky in provisioners.values():
            sky.begin("statuses", "v1")
        assert provisioners["verda"].end() == []
        assert provisioners["lambda"].end() == []
        with pytest.raises(SkyError, match="ReadTimeout"):
            provisioners["runpod"].end()


@pytest.mark.parametrize("name", ["runpod", "lambda"], indirect=True)
def test_what_never_becomes_ready_is_waited_for_without_a_limit(
    emulated_clouds: EmulatedClouds, seller: Seller, name: str
) -> None:
    sky = Provisioner.start(name, emulated_clouds.aws.environment)
    assert sky.statuses("v1") == []
    with seller.with_faults(never_ready=True):
        sky.begin("run", "v1")
        assert sky.is_waiting(MANY_POLLS_SECONDS)
        sky.kill()
    assert len(seller.billed()) == 1


@pytest.mark.parametrize("name", ["verda"], indirect=True)
def test_on_verda_what_does_not_become_ready_is_given_up_and_billed(
    seller: Seller, sky: Provisioner
) -> None:
    gives_up = pytest.raises(SkyError, match="ResourcesUnavailableError: Timed out waiting")
    with seller.with_faults(never_ready=True), gives_up:
        sky.run("v1")
    assert len(seller.billed()) == 1


@pytest.mark.parametrize("name", ["verda", "runpod"], indirect=True)
def test_to_remove_what_is_not_there_is_no_error(seller: Seller, sky: Provisioner) -> None:
    sky.run("v1")
    seller.remove_all()
    assert sky.statuses("v1") == []
    sky.terminate("v1")


@pytest.mark.parametrize("name", ["lambda"], indirect=True)
def test_on_lambda_to_remove_what_is_not_there_is_an_error(
    seller: Seller, sky: Provisioner
) -> None:
    assert seller.billed() == []
    with pytest.raises(SkyError, match=r"Failed to terminate instances \[\].*must not be empty"):
        sky.terminate("never-there")


def test_what_the_seller_does_not_delete_is_told(seller: Seller, sky: Provisioner) -> None:
    made = sky.run("v1")
    with seller.with_faults(keeps=made), pytest.raises(SkyError, match="Failed to terminate inst"):
        sky.terminate("v1")
    assert seller.billed() == made
    sky.terminate("v1")
    assert seller.billed() == []


@pytest.mark.parametrize("name", ["verda"], indirect=True)
def test_on_verda_a_name_within_a_name_is_taken_for_it(seller: Seller, sky: Provisioner) -> None:
    [longer] = sky.run("my-v1")
    assert sky.statuses("v1") == ["UP"], "SkyPilot never made such a cluster"
    sky.terminate("v1")
    assert longer not in seller.billed(), "another cluster's instance"


@pytest.mark.parametrize("name", ["runpod", "lambda"], indirect=True)
def test_elsewhere_a_name_within_a_name_is_another(seller: Seller, sky: Provisioner) -> None:
    made = sky.run("my-v1")
    assert sky.statuses("v1") == []
    assert seller.billed() == made


@pytest.mark.parametrize("name", ["verda"], indirect=True)
def test_on_verda_what_is_shut_down_is_billed_and_never_removed(
    seller: Seller, sky: Provisioner
) -> None:
    made = sky.run("v1")
    seller.set_status(made[0], "offline")
    sky.terminate("v1")
    assert seller.billed() == made


@pytest.mark.parametrize("name", ["verda"], indirect=True)
def test_on_verda_a_spot_instance_that_is_taken_leaves_its_disk(
    seller: Seller, sky: Provisioner
) -> None:
    [made] = sky.run("v1", spot=True)
    assert [one.spot for one in seller.rented() if one.id == made] == [True]
    seller.take(made)
    assert sky.statuses("v1") == []
    [disk] = [one for one in seller.volumes() if one["instance_id"] == made]
    assert (disk["status"], disk["size"]) == ("detached", 100), "it is billed on"


@pytest.mark.parametrize("name", ["runpod"], indirect=True)
def test_on_runpod_a_pod_that_was_outbid_is_still_there(seller: Seller, sky: Provisioner) -> None:
    made = sky.run("v1", spot=True)
    seller.take(made[0])
    with pytest.raises(SkyError, match="KeyError: 'EXITED'"):
        sky.statuses("v1")
    assert seller.billed() == made
    sky.terminate("v1")
    assert seller.billed() == []
