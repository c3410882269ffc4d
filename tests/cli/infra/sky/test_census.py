"""What bears our label is found, whoever knows of it, and removed by who holds it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import AbstractContextManager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Barrier
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import boto3
import pytest
import yaml
from moto import mock_aws

from checks import every
from fake_sky import Cluster, ClusterNotUpError, FakeSky, Job, Request, Status
from fintts_cli.errors import CloudError
from fintts_cli.infra import Holder, InstancePhase, Sighting
from fintts_cli.infra.labels import deadline_of, labels_of
from fintts_cli.infra.local.local import LocalInfra
from fintts_cli.infra.sky.rentals import census as census_module
from fintts_cli.infra.sky.rentals.record import read_record
from fintts_cli.infra.sky.sky import SkyInfra

if TYPE_CHECKING:
    from mypy_boto3_ec2 import EC2Client

    from fintts_cli.infra.sky.sellers import Seller

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)
LABELS = labels_of("mine", NOON)


@pytest.fixture
def aws(sky: FakeSky, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """An account of moto's, which SkyPilot may use."""
    sky.enabled = ("AWS",)
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    with mock_aws():
        yield


@pytest.fixture
def sky() -> FakeSky:
    return FakeSky()


@pytest.fixture
def infra(sky: FakeSky, tmp_path: Path) -> SkyInfra:
    return SkyInfra("", tmp_path / "state", sky.session)


def client(region: str) -> EC2Client:
    return boto3.client("ec2", region_name=region)


def boot(region: str, labels: dict[str, str]) -> str:
    tags: Any = [{"Key": key, "Value": value} for key, value in labels.items()]
    specification: Any = [{"ResourceType": "instance", "Tags": tags}] if tags else []
    made = client(region).run_instances(
        ImageId="ami-12c6146b", MinCount=1, MaxCount=1, TagSpecifications=specification
    )
    return made["Instances"][0]["InstanceId"]


def found(infra: SkyInfra) -> list[tuple[str, Holder, str]]:
    return [(one.run, one.holder, one.where) for one in infra.census().sightings]


def test_a_label_is_read_back_to_the_second() -> None:
    moment = datetime(2026, 11, 24, 12, 34, 56, 789, tzinfo=UTC)
    assert deadline_of(labels_of("mine", moment)) == moment.replace(microsecond=0)
    assert deadline_of(None) is None
    assert deadline_of({"fintts-deadline": "tomorrow"}) is None


@pytest.mark.usefixtures("aws")
def test_aws_is_asked_in_every_region(infra: SkyInfra) -> None:
    here, there = boot("us-east-1", LABELS), boot("eu-north-1", labels_of("other", NOON))
    boot("us-east-1", {})
    census = infra.census()
    assert census.unanswered == ()
    assert {(one.run, one.where, one.infra) for one in census.sightings} == {
        ("mine", here, "aws/us-east-1"),
        ("other", there, "aws/eu-north-1"),
    }
    assert every(one.deadline_at == NOON for one in census.sightings)
    assert every(one.holder == Holder.CLOUD for one in census.sightings)


@pytest.mark.usefixtures("aws")
def test_what_is_terminated_is_not_found(infra: SkyInfra) -> None:
    gone, stopped = boot("us-east-1", LABELS), boot("us-east-1", LABELS)
    client("us-east-1").terminate_instances(InstanceIds=[gone])
    client("us-east-1").stop_instances(InstanceIds=[stopped])  # whose disk is billed
    assert found(infra) == [("mine", Holder.CLOUD, stopped)]


@pytest.mark.usefixtures("aws")
def test_aws_says_of_a_launch_that_failed_whether_an_instance_came(
    sky: FakeSky, tmp_path: Path
) -> None:
    """It lists what is terminated for about an hour; another launch's does not count."""
    infra = SkyInfra("aws", tmp_path / "state", sky.session)
    resources = {"use_spot": True, "labels": LABELS}
    task = yaml.safe_dump({"workdir": str(tmp_path), "resources": resources, "envs": {}})
    sky.fails_after_submission = RuntimeError("set-up failed")
    boot("us-east-1", labels_of("mine", NOON - timedelta(days=1)))
    for came in (False, True):
        with pytest.raises(CloudError):
            infra.launch("mine", task)
        state = infra.state("mine")
        assert state is not None
        assert state.never_came is not came
        gone = boot("eu-north-1", LABELS)
        client("eu-north-1").terminate_instances(InstanceIds=[gone])


def test_of_other_clouds_nobody_knows_whether_an_instance_came(
    sky: FakeSky, tmp_path: Path
) -> None:
    infra = SkyInfra("lambda", tmp_path / "state", sky.session)
    resources = {"use_spot": True, "labels": LABELS}
    task = yaml.safe_dump({"workdir": str(tmp_path), "resources": resources, "envs": {}})
    sky.fails_after_submission = RuntimeError("set-up failed")
    with pytest.raises(CloudError):
        infra.launch("mine", task)
    state = infra.state("mine")
    assert state is not None
    assert not state.never_came


@pytest.mark.usefixtures("aws")
def test_an_instance_that_only_aws_knows_is_terminated(infra: SkyInfra) -> None:
    boot("eu-north-1", LABELS)
    (seen,) = infra.census().sightings
    infra.remove(seen)
    assert found(infra) == []


@pytest.mark.usefixtures("aws")
def test_of_a_cluster_s_instance_there_is_one_sighting(sky: FakeSky, infra: SkyInfra) -> None:
    old = boot("us-west-2", LABELS)
    boot("us-east-1", LABELS)
    sky.clusters.append(Cluster("fintts-mine", NOON.timestamp(), labels=LABELS))
    seen = infra.census().sightings
    assert [(one.holder, one.where) for one in seen] == [
        (Holder.CLUSTER, "fintts-mine"),
        (Holder.CLOUD, old),
    ]
    assert (seen[0].created_at, seen[0].deadline_at) == (NOON, NOON)
    assert seen[0].infra == "aws/us-east-1"


@pytest.mark.parametrize("name", ["dev", "fintts-", "fintts-Not_A_Run"])
def test_another_s_cluster_is_none_of_ours(sky: FakeSky, infra: SkyInfra, name: str) -> None:
    sky.clusters.append(Cluster(name, NOON.timestamp()))
    assert found(infra) == []


def test_a_cluster_is_removed_through_skypilot(
    sky: FakeSky, infra: SkyInfra, tmp_path: Path
) -> None:
    """Also one that this machine remembers; it then knows that it is gone."""
    (tmp_path / "bundle").mkdir()
    task = {"resources": {"use_spot": True}, "workdir": str(tmp_path / "bundle"), "run": "true"}
    infra.launch("mine", yaml.safe_dump(task))
    (job,) = sky.managed_jobs
    assert found(infra) == [("mine", Holder.MANAGED_JOB, job.job_name)]
    sky.clusters.append(Cluster("fintts-other", NOON.timestamp()))
    for seen in infra.census().sightings:
        infra.remove(seen)
    assert found(infra) == []
    assert "down fintts-other" in sky.calls
    assert job.status.value == "CANCELLED"
    record = read_record(tmp_path / "state" / "sky" / "mine")
    assert record is not None
    assert record.is_gone


@pytest.mark.parametrize(("autostop", "is_cut_off"), [(1, False), (-1, True)])
def test_a_launch_that_was_cut_off_is_told_from_one_at_work(
    sky: FakeSky, infra: SkyInfra, autostop: int, is_cut_off: bool
) -> None:
    sky.clusters.append(Cluster("fintts-mine", NOON.timestamp(), autostop=autostop))
    assert infra.census().sightings[0].is_cut_off == is_cut_off
    sky.accepted_meanwhile.append(Request("1", "sky.launch", "fintts-mine"))
    assert not infra.census().sightings[0].is_cut_off


@pytest.mark.parametrize(
    ("cloud", "queue", "is_cut_off"),
    [
        ("Verda", [1], False),
        ("Verda", [], True),
        ("Verda", None, False),  # no answer
        ("RunPod", [1], False),
        ("Lambda", [1], True),
    ],
)
def test_what_arms_its_own_end_is_not_taken_for_a_launch_that_was_cut_off(
    sky: FakeSky, infra: SkyInfra, cloud: str, queue: list[int] | None, is_cut_off: bool
) -> None:
    sky.queues["fintts-mine"] = queue
    sky.clusters.append(Cluster("fintts-mine", NOON.timestamp(), autostop=-1, cloud=cloud))
    assert infra.census().sightings[0].is_cut_off == is_cut_off


@pytest.mark.parametrize(
    ("status", "schedule_state", "cluster_lives", "is_seen"),
    [
        ("PENDING", "WAITING", False, True),
        ("RUNNING", "ALIVE", True, True),
        ("SUCCEEDED", "DONE", True, True),  # its controller died before it could end it
        ("SUCCEEDED", "DONE", False, False),
        ("CANCELLED", "INACTIVE", False, False),
    ],
)
def test_a_job_is_found_while_it_may_bill(
    sky: FakeSky,
    infra: SkyInfra,
    status: str,
    schedule_state: str,
    cluster_lives: bool,
    is_seen: bool,
) -> None:
    job = Job(7, "fintts-mine-19ab", Status(status), schedule_state, labels=LABELS)
    sky.managed_jobs += [job, Job(8, "fintts-mine-by-hand", Status("RUNNING"))]
    began = NOON.timestamp()
    ended = None if cluster_lives else began + 60
    sky.clusters.append(Cluster("fintts-mine-19ab-7", began, ended))
    seen = infra.census().sightings
    found = [(one.where, one.deadline_at) for one in seen]
    assert found == ([("fintts-mine-19ab", NOON)] if is_seen else [])


NO_JOBS = "No in-progress managed jobs."


@pytest.mark.parametrize("status", [None, "STOPPED", SimpleNamespace(value="STOPPED")])
def test_without_a_jobs_controller_there_are_no_jobs(
    sky: FakeSky, infra: SkyInfra, status: object
) -> None:
    """SkyPilot's default: it hires an instance for them with the first job, and it goes to sleep
    after the last one."""
    sky.no_controller = ClusterNotUpError(NO_JOBS, status)
    sky.clusters.append(Cluster("fintts-mine", NOON.timestamp(), labels=LABELS))
    census = infra.census()
    assert census.unanswered == ()
    assert [one.where for one in census.sightings] == ["fintts-mine"]


def refuse(sky: FakeSky, error: Exception) -> None:
    """As SkyPilot's SDK does whatever it is asked."""

    def enabled_clouds() -> tuple[str, ...]:
        raise error

    sky.client.sdk.enabled_clouds = enabled_clouds


@pytest.mark.parametrize(
    "name",
    [
        "ApiServerConnectionError",
        "ApiServerAuthenticationError",
        "APIVersionMismatchError",
        "ServerTemporarilyUnavailableError",
    ],
)
def test_a_server_that_is_out_of_reach_is_one_sentence_without_its_password(
    sky: FakeSky, infra: SkyInfra, name: str
) -> None:
    sky.clusters.append(Cluster("fintts-mine", NOON.timestamp(), labels=LABELS))
    refuse(sky, type(name, (RuntimeError,), {})("No answer from https://me:pass@sky.example. Try."))
    census = infra.census()
    assert census.sightings == ()
    (sentence,) = census.unanswered
    assert sentence == ("SkyPilot's server cannot be asked: No answer from https://…@sky.example")


def test_who_cannot_tell_its_clouds_is_still_asked_what_lives(
    sky: FakeSky, infra: SkyInfra
) -> None:
    sky.clusters.append(Cluster("fintts-mine", NOON.timestamp(), labels=LABELS))
    refuse(sky, RuntimeError("the database is locked"))
    census = infra.census()
    assert [one.where for one in census.sightings] == ["fintts-mine"]
    assert len(census.unanswered) == 1


def test_a_skypilot_that_does_not_load_is_part_of_the_answer(tmp_path: Path) -> None:
    def broken(_log: Path) -> AbstractContextManager[Any]:
        raise CloudError("SkyPilot cannot be loaded: Read-only file system")

    census = SkyInfra("", tmp_path, broken).census()
    assert census.unanswered == ("SkyPilot cannot be loaded: Read-only file system",)


@pytest.mark.parametrize("status", ["INIT", "UP"])
def test_a_jobs_controller_that_is_there_and_does_not_answer_is_named(
    sky: FakeSky, infra: SkyInfra, status: str
) -> None:
    sky.no_controller = ClusterNotUpError("Failed to connect to jobs controller.", status)
    (sentence,) = infra.census().unanswered
    assert "Failed to connect to jobs controller" in sentence


def test_what_jobs_left_is_found_after_consolidation_mode_was_taken_out(
    sky: FakeSky, infra: SkyInfra
) -> None:
    """Their list is gone with it, and SkyPilot's list of clusters leaves theirs out."""
    began = NOON.timestamp()
    job = Job(7, "fintts-mine-19ab", Status("RUNNING"))
    sky.managed_jobs.append(job)
    sky.clusters += [
        Cluster("fintts-mine-19ab-7", began),
        Cluster("fintts-over-19ab-6", began, began + 60),
        Cluster("sky-jobs-controller-1a", began),
    ]
    sky.no_controller = ClusterNotUpError(NO_JOBS)
    (seen,) = infra.census().sightings
    assert (seen.run, seen.where) == ("mine", "fintts-mine-19ab-7")
    infra.remove(seen)
    assert infra.census().sightings == ()
    assert "down fintts-mine-19ab-7" in sky.calls


@pytest.mark.usefixtures("aws")
def test_who_does_not_answer_is_named_and_hides_nobody(
    sky: FakeSky, infra: SkyInfra, monkeypatch: pytest.MonkeyPatch
) -> None:
    instance = boot("us-east-1", LABELS)

    def out_of_order(**_: object) -> None:
        raise RuntimeError("the database is locked. Sorry.")

    monkeypatch.setattr(sky, "status", out_of_order)
    census = infra.census()
    assert [one.where for one in census.sightings] == [instance]
    (sentence,) = census.unanswered
    assert sentence == (
        "SkyPilot could not be asked for instances: SkyPilot: the database is locked"
    )


def test_a_cloud_whose_list_is_not_read_is_named(sky: FakeSky, infra: SkyInfra) -> None:
    sky.enabled = ("GCP", "Kubernetes")
    census = infra.census()
    assert census.sightings == ()
    assert census.remarks == ("on gcp, fintts sees only what SkyPilot knows of",)


def test_what_cannot_be_removed_may_be_billing(
    sky: FakeSky, infra: SkyInfra, monkeypatch: pytest.MonkeyPatch
) -> None:
    sky.clusters.append(Cluster("fintts-mine", NOON.timestamp()))
    (seen,) = infra.census().sightings

    def denied(_name: str) -> None:
        raise RuntimeError("UnauthorizedOperation: you may not")

    monkeypatch.setattr(sky, "down", denied)
    with pytest.raises(CloudError, match="cluster fintts-mine could not be removed, and may be"):
        infra.remove(seen)


def test_a_request_that_a_killed_terminal_left_is_taken_back(sky: FakeSky, infra: SkyInfra) -> None:
    """SkyPilot knows no cluster yet: a `down` now must not find nothing, and make it none."""
    seen = Sighting("mine", Holder.CLUSTER, "fintts-mine", "aws", NOON)
    sky.requests += [
        Request("1", "sky.launch", "fintts-other"),
        Request("2", "sky.status", "fintts-mine"),
    ]
    infra.remove(seen)
    assert "take back" not in sky.calls
    sky.requests.append(Request("3", "sky.launch", "fintts-mine"))
    infra.remove(seen)
    assert "take back" in sky.calls


def body(cluster: str, deadline_at: datetime, quote: str) -> str:
    """What SkyPilot's server shows of a request to its own user."""
    labels = labels_of("mine", deadline_at)
    lines = "".join(f"    {key}: {quote}{value}{quote}\n" for key, value in labels.items())
    return json.dumps({"cluster_name": cluster, "task": f"resources:\n  labels:\n{lines}"})


@pytest.mark.parametrize("quote", ["", "'", '"'])
@pytest.mark.parametrize("hides", [False, True])
def test_what_another_laptop_of_the_server_asks_for_is_left_to_it(
    sky: FakeSky, infra: SkyInfra, quote: str, *, hides: bool
) -> None:
    """It launches a run of the same name, into another store or after ours was gone."""
    ours, theirs = NOON, NOON + timedelta(hours=3)
    seen = Sighting("mine", Holder.CLUSTER, "fintts-mine", "aws", NOON, deadline_at=ours)
    of_theirs = "null" if hides else body("fintts-mine", theirs, quote)
    sky.requests.append(Request("1", "sky.launch", "fintts-mine", of_theirs))
    infra.remove(seen)
    assert "take back" not in sky.calls
    sky.requests.append(Request("2", "sky.launch", "fintts-mine", body("fintts-mine", ours, quote)))
    infra.remove(seen)
    assert [one.request_id for one in sky.requests] == ["1"]
    sky.clusters.append(Cluster("fintts-mine", NOON.timestamp(), labels=labels_of("mine", theirs)))
    infra.remove(seen)
    assert sky.clusters[0].ended is None


def test_so_is_one_for_a_job(sky: FakeSky, infra: SkyInfra) -> None:
    seen = Sighting("mine", Holder.MANAGED_JOB, "fintts-mine-19ab", "aws", NOON)
    sky.requests.append(Request("1", "sky.jobs.launch", None, '{"name":"fintts-other-19ab"}'))
    infra.remove(seen)
    assert "take back" not in sky.calls
    sky.requests.append(Request("2", "sky.jobs.launch", None, '{"name":"fintts-mine-19ab"}'))
    infra.remove(seen)
    assert "take back" in sky.calls


def test_this_machine_s_instances_are_found_and_removed(tmp_path: Path) -> None:
    infra = LocalInfra(tmp_path)
    (tmp_path / "bundle").mkdir()
    task = {"workdir": str(tmp_path / "bundle"), "envs": {}, "setup": "", "run": "sleep 60"}
    infra.launch("mine", yaml.safe_dump(task))
    try:
        (seen,) = infra.census().sightings
        assert (seen.run, seen.holder, seen.infra) == ("mine", Holder.FOLDER, "local")
    finally:
        infra.down("mine")
    assert infra.census().sightings == ()
    infra.remove(seen)
    state = infra.state("mine")
    assert state is not None
    assert state.phase == InstancePhase.GONE


def test_the_clouds_are_asked_at_the_same_time(
    sky: FakeSky, infra: SkyInfra, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each waits for the other to be asked, too."""
    both = Barrier(2, timeout=10)

    def listed(_sky: object, seller: Seller, _records: object) -> list[Sighting]:
        both.wait()
        return [Sighting("mine", Holder.CLOUD, seller.title, seller.cloud, NOON)]

    monkeypatch.setattr(census_module, "sightings_of", listed)
    sky.enabled = ("verda", "runpod")
    census = infra.census()
    assert [one.where for one in census.sightings] == ["Verda", "RunPod"]
    assert census.unanswered == ()
