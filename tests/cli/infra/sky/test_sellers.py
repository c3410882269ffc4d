"""What a seller lists is billed, whatever SkyPilot says; SkyPilot's own clients ask the seller."""

from __future__ import annotations

import json
import threading
import warnings
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml

from fake_sky import Cluster, ClusterNotUpError, FakeSky, Job, Status
from fintts_cli.errors import CloudError
from fintts_cli.infra import Holder, InstancePhase
from fintts_cli.infra.labels import labels_of
from fintts_cli.infra.sky.rentals.record import (
    SkyRecord,
    cluster_of,
    deadline_in,
    job_of,
    read_record,
    run_of,
    run_of_instance,
    run_of_job,
    write_record,
)
from fintts_cli.infra.sky.sellers import Listed, Seller, desk, trouble_of
from fintts_cli.infra.sky.sellers.answers import moment, records, word
from fintts_cli.infra.sky.server.sdk import import_sky
from fintts_cli.infra.sky.sky import SkyInfra

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)
CLUSTER = cluster_of("mine", NOON)
ON_CLOUD = f"{CLUSTER}-aaaabbbb-head"


class Verda:
    """Its API, as far as a list and a deletion go."""

    def __init__(self) -> None:
        self.listed: dict[str, dict[str, Any]] = {}
        self.keeps_what_it_should_delete = False
        self.fails_with: tuple[int, dict[str, str]] | None = None
        self.deleted: list[str] = []
        verda = self

        class Door(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                token = {"access_token": "t", "refresh_token": "r", "scope": "s"}
                self._say(200, token | {"token_type": "Bearer", "expires_in": 3600})

            def do_GET(self) -> None:
                self._say(*(verda.fails_with or (200, list(verda.listed.values()))))

            def do_PUT(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                if verda.keeps_what_it_should_delete:
                    message = "Instance cannot be deleted at this moment"
                    self._say(400, {"code": "invalid_request", "message": message})
                    return
                assert body["action"] == "delete"
                for one in body["id"]:
                    verda.deleted.append(one)
                    del verda.listed[one]
                self._say(202, "")

            def _say(self, status: int, answer: object) -> None:
                text = json.dumps(answer).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

            def log_message(self, format: str, *args: object) -> None:
                """Nothing."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Door)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def boot(self, name: str = ON_CLOUD, status: str = "running", key: str = "i1") -> None:
        created = "2026-11-24T09:00:00.000Z"
        self.listed[key] = {"id": key, "hostname": name, "status": status, "created_at": created}


@pytest.fixture
def verda(monkeypatch: pytest.MonkeyPatch) -> Iterator[Verda]:
    made = Verda()
    monkeypatch.setenv("VERDA_CLIENT_ID", "me")
    monkeypatch.setenv("VERDA_CLIENT_SECRET", "only-verda-knows")
    monkeypatch.setenv("VERDA_BASE_URL", f"http://127.0.0.1:{made.server.server_port}")
    yield made
    made.server.shutdown()
    made.server.server_close()


@pytest.fixture(scope="module")
def skypilot(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The real one, imported into a home of its own."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOME", str(tmp_path_factory.mktemp("home")))
        return import_sky()


@pytest.fixture
def sky(verda: Verda, skypilot: Any) -> FakeSky:
    made = FakeSky(enabled=("Verda",))
    made.adaptors.verda = skypilot.adaptors.verda
    return made


@pytest.fixture
def infra(sky: FakeSky, tmp_path: Path) -> SkyInfra:
    return SkyInfra("", tmp_path / "state", sky.session)


@pytest.fixture
def asked(infra: SkyInfra, tmp_path: Path) -> Path:
    """The folder of an instance that this machine asked for and SkyPilot has forgotten."""
    folder = tmp_path / "state" / "sky" / "mine"
    folder.mkdir(parents=True)
    record = SkyRecord(
        run="mine",
        cluster=CLUSTER,
        requested_at=NOON,
        deadline_at=NOON,
        was_seen=True,
        cloud="verda",
    )
    write_record(folder, record)
    return folder


def test_no_name_of_another_run_contains_an_instance_s_name() -> None:
    """Of `v1` and `v10`, whose names on the cloud end with the user."""
    later = NOON + timedelta(seconds=1)
    for one, other in [("v1", "v10"), ("v1", "v1-x"), ("v1", "v1-x6923f440"), ("a", "fintts-a")]:
        assert cluster_of(one, NOON) not in f"{cluster_of(other, later)}-aaaabbbb-head"
    assert cluster_of("v1", NOON) == "fintts-v1-x6b057c40"


def test_a_name_tells_run_and_deadline_and_old_names_are_known() -> None:
    assert (run_of(CLUSTER), deadline_in(CLUSTER)) == ("mine", NOON)
    assert (run_of("fintts-mine"), deadline_in("fintts-mine")) == ("mine", None)
    assert run_of("somebody-s") is None
    assert run_of_job("fintts-mine-x0-19a2b3c4d5e") == "mine-x0"
    assert run_of_instance("fintts-mine-19a2b3c4d5e-12") == "mine"
    assert run_of_instance(CLUSTER) == "mine"


def test_a_launch_names_its_instance_after_its_deadline(
    sky: FakeSky, infra: SkyInfra, tmp_path: Path
) -> None:
    sky.fails_after_submission = RuntimeError("set-up failed")
    resources = {"use_spot": False, "labels": labels_of("mine", NOON)}
    task = yaml.safe_dump({"workdir": str(tmp_path), "resources": resources, "envs": {}})
    with pytest.raises(CloudError):
        infra.launch("mine", task)
    record = read_record(tmp_path / "state" / "sky" / "mine")
    assert record is not None
    assert record.cluster == CLUSTER


@pytest.mark.parametrize("status", ["offline", "error", "no_capacity", "running"])
def test_what_skypilot_has_forgotten_is_billed_until_its_seller_says_gone(
    status: str, verda: Verda, infra: SkyInfra, asked: Path
) -> None:
    verda.boot(status=status)
    verda.boot(f"{cluster_of('mine0', NOON)}-aaaabbbb-head", key="other")
    state = infra.state("mine")
    assert state is not None
    assert state.phase == InstancePhase.TEARING_DOWN
    assert f"Verda {'lists it as' if status == 'running' else 'says'} {status}" in (
        state.message or ""
    )
    assert infra.down("mine").was_there
    assert verda.deleted == ["i1"]
    gone = infra.state("mine")
    assert gone is not None
    assert not gone.is_live


def test_where_skypilot_fails_the_seller_s_word_counts(
    sky: FakeSky, verda: Verda, infra: SkyInfra, asked: Path
) -> None:
    sky.clusters.append(Cluster(CLUSTER, 0.0))
    sky.down_fails_with = RuntimeError("Failed to terminate instances []")
    verda.fails_with = (429, {"code": "too_many_requests", "message": "Too many requests"})
    with pytest.raises(CloudError, match="could not be removed, and may be billing"):
        infra.down("mine")
    verda.fails_with = None
    assert infra.down("mine").was_there
    assert sky.calls[-1] == f"purge {CLUSTER}"
    record = read_record(asked)
    assert record is not None
    assert record.is_gone
    write_record(asked, record.model_copy(update={"is_gone": False, "cloud": "gcp"}))
    with pytest.raises(CloudError, match="could not be removed, and may be billing"):
        infra.down("mine")


def test_without_the_seller_s_word_nothing_is_gone(
    verda: Verda, infra: SkyInfra, asked: Path
) -> None:
    verda.fails_with = (429, {"code": "too_many_requests", "message": "Too many requests"})
    with pytest.raises(CloudError, match=r"SkyPilot no longer knows .* may be billing"):
        infra.state("mine")
    with pytest.raises(CloudError, match="could not be removed, and may be billing"):
        infra.down("mine")
    record = read_record(asked)
    assert record is not None
    assert not record.is_gone
    verda.fails_with = None
    state = infra.state("mine")
    assert state is not None
    assert not state.is_live


def test_an_instance_that_refuses_to_be_deleted_stays_in_the_list(
    verda: Verda, infra: SkyInfra, asked: Path
) -> None:
    verda.boot(status="offline")
    verda.keeps_what_it_should_delete = True
    with pytest.raises(CloudError, match=r"may be billing: .*cannot be deleted"):
        infra.down("mine")
    (seen,) = infra.census().sightings
    with pytest.raises(CloudError, match="cannot be deleted at this moment"):
        infra.remove(seen)
    (seen,) = infra.census().sightings
    verda.keeps_what_it_should_delete = False
    infra.remove(seen)
    assert infra.census().sightings == ()


def test_an_instance_that_is_listed_on_is_not_taken_for_gone(
    sky: FakeSky, verda: Verda, monkeypatch: pytest.MonkeyPatch
) -> None:
    verda.boot()
    monkeypatch.setattr(verda, "listed", _Kept(verda.listed))
    (seller,) = desk.sellers_of(sky, ["verda", "aws"])
    with pytest.raises(CloudError, match="still lists it as running"):
        desk.remove_listed(sky, seller, "i1", within_seconds=0)


class _Kept(dict[str, Any]):
    def __delitem__(self, key: str) -> None:
        """It stays."""


def test_the_census_has_what_only_the_seller_knows_with_the_deadline_of_its_name(
    sky: FakeSky, verda: Verda, infra: SkyInfra
) -> None:
    verda.boot(status="offline")
    verda.boot("by-hand", key="i2")
    census = infra.census()
    assert (census.unanswered, census.remarks) == ((), ())
    (seen,) = census.sightings
    assert (seen.run, seen.holder, seen.where, seen.infra) == ("mine", Holder.CLOUD, "i1", "verda")
    assert seen.deadline_at == NOON
    assert seen.created_at == datetime(2026, 11, 24, 9, tzinfo=UTC)
    assert "Verda says offline" in (seen.trouble or "")


LONG_RUN = "a-voice-of-33-characters-and-more"


def record_launch(state: Path, run: str, cluster: str, job: str | None = None) -> SkyRecord:
    """What this machine writes down of a launch that SkyPilot then forgets."""
    (folder := state / "sky" / run).mkdir(parents=True)
    record = SkyRecord(
        run=run, cluster=cluster, job=job, requested_at=NOON, deadline_at=NOON, was_seen=True
    )
    write_record(folder, record)
    return record


def test_a_name_that_skypilot_shortened_is_known_by_this_machine_s_record(
    sky: FakeSky, skypilot: Any, verda: Verda, infra: SkyInfra, tmp_path: Path
) -> None:
    """The names of jobs are cut to 25 characters in the names of their clusters."""
    names = sky.utils.common_utils = skypilot.utils.common_utils
    job = job_of("kalevala-2", NOON)
    record_launch(tmp_path / "state", "kalevala-2", job, job)
    shown = skypilot.jobs.utils.generate_managed_job_cluster_name(job, 3)
    assert not shown.startswith(job)
    verda.boot(f"{names.make_cluster_name_on_cloud(shown, 120)}-head")
    (seen,) = infra.census().sightings
    assert (seen.run, seen.deadline_at, seen.where) == ("kalevala-2", NOON, "i1")


def test_so_is_the_cluster_of_a_job_whose_controller_is_gone(
    sky: FakeSky, skypilot: Any, infra: SkyInfra, tmp_path: Path
) -> None:
    sky.utils.common_utils = skypilot.utils.common_utils
    sky.no_controller = ClusterNotUpError("No in-progress managed jobs.")
    job = job_of("kalevala-2", NOON)
    record_launch(tmp_path / "state", "kalevala-2", job, job)
    shown = skypilot.jobs.utils.generate_managed_job_cluster_name(job, 3)
    sky.managed_jobs.append(Job(3, shown.removesuffix("-3"), Status("RUNNING")))
    sky.clusters.append(Cluster(shown, NOON.timestamp(), labels=labels_of("kalevala-2", NOON)))
    assert [one.run for one in infra.census().sightings] == ["kalevala-2"]
    assert infra.down("kalevala-2").was_there
    assert f"down {shown}" in sky.calls


def test_a_cluster_s_shortened_name_is_known_too_and_without_a_record_it_is_still_listed(
    sky: FakeSky, skypilot: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    names = sky.utils.common_utils = skypilot.utils.common_utils
    seller, cluster = seller_named("lambda"), cluster_of(LONG_RUN, NOON)
    name = names.make_cluster_name_on_cloud(cluster, seller.longest_name) + "-head"
    assert not name.startswith(cluster)
    listed = [Listed("i1", name, "active"), Listed("i2", f"fintts-{'x' * 50}-head", "active")]
    monkeypatch.setattr(type(seller), "instances", lambda *_: listed)
    record = record_launch(tmp_path, LONG_RUN, cluster)
    ours, other = desk.sightings_of(sky, seller, [record])
    assert (ours.run, ours.deadline_at) == (LONG_RUN, NOON)
    assert (other.run, other.where, other.deadline_at) == ("x" * 40, "i2", None)
    unread, _ = desk.sightings_of(sky, seller)
    assert unread.where == "i1"


def test_what_skypilot_knows_is_not_listed_twice_and_has_the_seller_s_trouble(
    sky: FakeSky, verda: Verda, infra: SkyInfra
) -> None:
    sky.clusters.append(Cluster(CLUSTER, NOON.timestamp(), cloud="Verda", autostop=-1))
    sky.queues[CLUSTER] = [1]
    verda.boot(status="error")
    (seen,) = infra.census().sightings
    assert (seen.holder, seen.where) == (Holder.CLUSTER, CLUSTER)
    assert "Verda says error" in (seen.trouble or "")
    infra.remove(seen)
    assert verda.deleted == ["i1"]


def test_a_seller_that_does_not_answer_is_said(sky: FakeSky, verda: Verda, infra: SkyInfra) -> None:
    verda.fails_with = (401, {"code": "unauthorized_request", "message": "Invalid client id"})
    (sentence,) = infra.census().unanswered
    assert sentence == "Verda could not be asked for instances: Verda says: Invalid client id"


def test_a_slow_seller_is_not_waited_for(
    sky: FakeSky, verda: Verda, monkeypatch: pytest.MonkeyPatch
) -> None:
    (seller,) = desk.sellers_of(sky, ["verda"])
    waits = threading.Event()
    monkeypatch.setattr(type(seller), "instances", lambda *_: waits.wait(30))
    with pytest.raises(CloudError, match="Verda did not answer within"):
        desk.listed_by(sky, seller, within_seconds=0.01)
    waits.set()


def test_the_keys_of_a_server_elsewhere_lie_there(sky: FakeSky) -> None:
    sky.is_here = False
    assert desk.sellers_of(sky, ["verda"]) == []


def test_what_a_seller_says_is_input_from_outside() -> None:
    assert word({"name": "a\x1b[2J\n" + "b" * 500}, "name").startswith(r"a\x1b[2J\n")
    assert word({"name": None}, "name") == ""
    assert moment("2026-11-24T12:00:00Z") == NOON
    assert moment(NOON.timestamp()) == NOON
    assert moment("yesterday") is moment(1e30) is moment([]) is None
    for answer in ({"error": "x"}, [1], None):
        with pytest.raises(CloudError, match="cannot be read"):
            records(answer)


class Api:
    """Answers each request by its path, or by the word that its body has."""

    def __init__(self, answers: dict[str, object]) -> None:
        self.answers, self.asked = answers, list[str]()
        api = self

        class Door(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                length = int(self.headers.get("Content-Length") or 0)
                api.asked.append(f"{self.path} {self.rfile.read(length).decode()}")
                found = [answer for word, answer in api.answers.items() if word in api.asked[-1]]
                text = json.dumps(found[0]).encode()
                self.send_response(200)
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

            def do_GET(self) -> None:
                self.do_POST()

            def log_message(self, format: str, *args: object) -> None:
                """Nothing."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Door)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def __enter__(self) -> Api:
        return self

    def __exit__(self, *_: object) -> None:
        self.server.shutdown()
        self.server.server_close()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.server_port}"


def seller_named(cloud: str) -> Seller:
    [found] = [one for one in desk.SELLERS if one.cloud == cloud]
    return found


def test_lambda_s_own_list_and_deletion(
    skypilot: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    utils = skypilot.provision.lambda_cloud.lambda_utils
    (tmp_path / "keys").write_text("api_key = k\n")
    monkeypatch.setattr(utils, "CREDENTIALS_PATH", str(tmp_path / "keys"))
    states = {"i1": "active", "i2": "unhealthy", "i3": "terminated", "i4": "terminating"}
    listed = [{"id": key, "name": ON_CLOUD, "status": state} for key, state in states.items()]
    answers = {"terminate": {"data": {"terminated_instances": []}}, "": {"data": listed}}
    with Api(answers) as api:
        monkeypatch.setattr(utils, "API_ENDPOINT", api.url)
        seller = seller_named("lambda")
        found = seller.instances(skypilot)
        assert [one.id for one in found] == ["i1", "i2", "i4"]
        troubles = [trouble_of(seller, one) for one in found]
        assert [bool(one) for one in troubles] == [False, True, False]
        assert "Lambda says unhealthy" in (troubles[1] or "")
        seller.remove(skypilot, "i2")
        assert api.asked[-1] == '/instance-operations/terminate {"instance_ids": ["i2"]}'


def test_runpod_s_own_list_and_deletion(skypilot: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    states = {"p1": "RUNNING", "p2": "EXITED", "p3": "TERMINATED"}
    pods = [{"id": key, "name": ON_CLOUD, "desiredStatus": state} for key, state in states.items()]
    answers = {
        "podTerminate": {"data": {"podTerminate": None}},
        "": {"data": {"myself": {"pods": pods}}},
    }
    with Api(answers) as api, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        monkeypatch.setenv("RUNPOD_API_BASE_URL", api.url)
        monkeypatch.setattr(skypilot.adaptors.runpod.runpod.load_module(), "api_key", "k")
        seller = seller_named("runpod")
        found = seller.instances(skypilot)
        assert [one.id for one in found] == ["p1", "p2"]
        assert trouble_of(seller, found[0]) is None
        assert "RunPod says EXITED" in (trouble_of(seller, found[1]) or "")
        seller.remove(skypilot, "p2")
        assert 'podTerminate(input: { podId: \\"p2\\" })' in api.asked[-1]
