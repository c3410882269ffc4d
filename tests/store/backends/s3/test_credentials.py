"""What an instance may do with the key that it gets, and what is said where it gets another."""

from __future__ import annotations

import json
import re
import ssl
import subprocess
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.awsrequest import AWSPreparedRequest
from botocore.exceptions import ClientError
from hypothesis import given
from hypothesis import strategies as st

from checks import every
from fault_proxy import Fault, fault_proxy
from fintts_store import layout
from fintts_store.backend import Grant
from fintts_store.backends.s3.addresses.address import S3Address
from fintts_store.backends.s3.credentials import grant as s3_credentials
from fintts_store.backends.s3.credentials.grant import (
    LONGEST,
    fitting_policy,
    grant_for_run,
    lifetime,
    run_policy,
)
from fintts_store.backends.s3.credentials.sts import LONGEST_POLICY
from fintts_store.backends.s3.http.certificates import is_trusted
from fintts_store.backends.s3.s3 import S3Store
from fintts_store.checkpoints.commit import CheckpointFacts, Committer
from fintts_store.checkpoints.listing import list_manifests
from fintts_store.checkpoints.orphans import clean_up_orphans
from fintts_store.checkpoints.restore import restore
from fintts_store.errors import KeyExpired, KeyNotFound, PermissionMissing, StoreDenied
from fintts_store.runs.claims import take_claim
from policies import OBJECT_ACTIONS, allows, what_is_asked
from s3_servers import make_bucket

RUN = "mine"
HERE = S3Address("voices", "teams/speech/")
READS = ["datasets/00ff.safetensors", "base_models/77aa/", "adapters/31cd/"]
NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)


def test_the_policy_of_a_run(golden: Callable[[str, str], None]) -> None:
    golden("run_policy.json", json.dumps(run_policy(HERE, RUN, READS), indent=2) + "\n")


ODD = st.text(st.sampled_from("ab*?$/{}"), min_size=1, max_size=8)


@given(prefix=ODD, key=st.text(st.sampled_from("abcmine*?$/.-"), max_size=20))
def test_a_key_opens_its_run_and_nothing_else(prefix: str, key: str) -> None:
    policy = run_policy(S3Address("voices", f"{prefix}/"), RUN, READS)
    own = f"{prefix}/runs/{RUN}/"
    for action in OBJECT_ACTIONS:
        assert allows(policy, action, f"arn:aws:s3:::voices/{own}checkpoints/{key}")
        name = f"{prefix}/{key}"
        if not name.startswith(own):
            assert not allows(policy, action, f"arn:aws:s3:::voices/{name}")
        assert not allows(policy, action, f"arn:aws:s3:::voices/{prefix}/runs/{RUN}-2/{key}")
        assert not allows(policy, action, f"arn:aws:s3:::others/{own}{key}")
    assert allows(policy, "s3:ListBucket", "arn:aws:s3:::voices", own + key)
    assert not allows(policy, "s3:ListBucket", "arn:aws:s3:::voices", f"{prefix}/runs/")
    assert not allows(policy, "s3:ListBucket", "arn:aws:s3:::voices")


WRITTEN = {
    *("status.json", "metrics/<claim>-<part>.jsonl", "tensorboard/<claim>/<file>"),
    *("claims/<claim>", "checkpoints/<claim>-<step>-<id>/<file>", "result.json"),
    *("commits/<claim>-<step>-<id>.json", "commits/<claim>-<step>-<id>.pin"),
    *("samples/<claim>/samples.json", "samples/<claim>/<who>-<number>.wav"),
    *("logs/<moment>.txt", "traceback.txt", "trial.txt"),
}
ASKED = {
    *("run.json", "revisions/<number>.json", "stop.json", "ledger/<launch>/asked.json"),
    "ledger/<launch>/<kind>-<moment>-<id>.json",
}


def test_each_key_of_a_run_is_a_trainer_s_to_write_or_to_read_alone() -> None:
    """A key that is new in the layout has to be put into one of the two."""
    drawn = set(re.findall(r"^ +runs/<run>/(\S+)", str(layout.__doc__), re.MULTILINE))
    assert drawn == WRITTEN | ASKED
    policy, own = run_policy(HERE, RUN, READS), f"arn:aws:s3:::voices/{HERE.prefix}runs/{RUN}/"
    writing = [action for action in OBJECT_ACTIONS if action != "s3:GetObject"]
    for key in drawn:
        assert allows(policy, "s3:GetObject", own + key)
        may_write = [action for action in writing if allows(policy, action, own + key)]
        assert may_write == (writing if key in WRITTEN else []), key


@pytest.mark.parametrize("prefix", ["", "teams/speech/voices/finnish/2026/"])
def test_the_policy_of_a_usual_address_is_not_too_long(prefix: str) -> None:
    address = S3Address("a-bucket-with-quite-a-long-name-2026", prefix)
    reads = [f"{kind}/{'0' * 64}/" for kind in ("datasets", "base_models", "adapters", "codecs")]
    assert len(fitting_policy(address, "r" * 40, reads)) <= LONGEST_POLICY


def test_keys_of_kms_are_used_by_way_of_s3_alone() -> None:
    """Whatever the address says: a bucket may encrypt by itself."""
    policy = run_policy(HERE, RUN, READS)
    (found,) = [one for one in policy["Statement"] if "kms:GenerateDataKey" in one["Action"]]
    assert "kms:Decrypt" in found["Action"]
    assert found["Condition"] == {"StringLike": {"kms:ViaService": "s3.*"}}


@pytest.mark.parametrize(("sse", "may"), [("aws:kms", True), ("AES256", False), (None, False)])
def test_only_a_prefix_without_room_costs_the_right_to_use_keys_of_kms(sse: Any, may: bool) -> None:
    address = S3Address("voices", "p" * 150 + "/", sse=sse)
    assert ("kms:Decrypt" in fitting_policy(address, RUN, READS)) == may
    assert "kms:Decrypt" in fitting_policy(replace(HERE, sse=sse), RUN, READS)


@pytest.mark.parametrize("key", [READS[0], READS[1] + "model.safetensors", READS[2] + "a.json"])
def test_inputs_are_read_and_never_written(key: str) -> None:
    policy, name = run_policy(HERE, RUN, READS), f"arn:aws:s3:::voices/teams/speech/{key}"
    assert [a for a in OBJECT_ACTIONS if allows(policy, a, name)] == ["s3:GetObject"]
    others = name.replace("00ff", "00fe").replace("77aa", "77ab").replace("31cd", "31ce")
    assert not allows(policy, "s3:GetObject", others)
    assert not allows(run_policy(HERE, RUN, []), "s3:GetObject", name)


def test_what_an_instance_encodes_it_adds_and_never_removes() -> None:
    folder, other = f"encoded/{'7a' * 32}/", f"encoded/{'7b' * 32}/"
    policy = run_policy(HERE, RUN, [*READS, folder], adds_to=[folder])
    name = f"arn:aws:s3:::voices/{HERE.prefix}{folder}00001-{'a' * 64}.zip"
    allowed = [action for action in OBJECT_ACTIONS if allows(policy, action, name)]
    assert allowed == ["s3:GetObject", "s3:PutObject", "s3:AbortMultipartUpload"]
    for refused in (name.replace(folder, other), name.replace(folder, READS[1])):
        assert not allows(policy, "s3:PutObject", refused)
    assert not allows(run_policy(HERE, RUN, [folder]), "s3:PutObject", name)


def test_the_policy_of_a_run_that_encodes_is_not_too_long() -> None:
    address = S3Address("a-bucket-with-quite-a-long-name-2026", "teams/speech/voices/")
    kinds = ("recordings", "encoded", "base_models", "adapters", "codecs")
    reads = [f"{kind}/{'0' * 64}/" for kind in kinds]
    assert len(fitting_policy(address, "r" * 40, reads, adds_to=reads[1:2])) <= LONGEST_POLICY
    assert "kms:Decrypt" in fitting_policy(HERE, RUN, reads, adds_to=reads[1:2])


def test_in_china_names_begin_differently() -> None:
    assert "arn:aws-cn:s3:::voices" in json.dumps(run_policy(HERE, RUN, [], "aws-cn"))
    assert "arn:aws:" not in json.dumps(run_policy(HERE, RUN, [], "aws-cn"))


def test_all_that_a_checkpoint_s_life_asks_for_is_allowed(
    moto_endpoint: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    address = make_bucket(moto_endpoint, "policy-recorded")
    S3Store(address).put(READS[0], b"data")
    asked: set[tuple[str, str, str | None]] = set()
    store = S3Store(address)

    def note(request: AWSPreparedRequest, **_: object) -> None:
        asked.add(what_is_asked(str(request.method), str(request.url)))

    store._requests.client.meta.events.register("before-send.s3", note)
    _live(store, tmp_path)
    policy = run_policy(address, RUN, READS)
    assert [one for one in asked if not allows(policy, *one)] == []
    assert {action for action, *_ in asked} == set(OBJECT_ACTIONS[:3]) | {
        "s3:ListBucket",
        "s3:ListBucketMultipartUploads",
    }


def _live(store: S3Store, folder: Path) -> None:
    """What a trainer does with a store."""
    store.get(READS[0])
    claim = take_claim(store, RUN, holder="here")
    clean_up_orphans(store, RUN, claim)
    committer = Committer(store, RUN, claim, keep_last=1, keep_best=True)
    for step in (100, 200, 300, 400):
        local = folder / str(step)
        local.mkdir()
        (local / "adapter_model.safetensors").write_bytes(f"weights at {step}".encode())
        committer.commit(local, CheckpointFacts(step, "c", "b", "val/loss", "min", 400.0 - step))
        committer.rotate()
    newest = list_manifests(store, RUN)[-1]
    restore(store, newest, folder / "back")


@pytest.mark.parametrize("hours", [0.01, 1.0, 35.7])
def test_a_key_lasts_for_the_run_and_its_end(hours: float) -> None:
    deadline = NOON + timedelta(hours=hours)
    lasts = lifetime(deadline, NOON)
    assert timedelta(minutes=15) <= lasts <= LONGEST
    assert NOON + lasts >= deadline + timedelta(minutes=10)


def test_a_run_that_outlives_every_key_is_told_so_before() -> None:
    with pytest.raises(StoreDenied, match=r"may last 35\.8 h.* at most 36 h, .* 15 minutes"):
        lifetime(NOON + timedelta(hours=35.8), NOON)


@pytest.fixture
def sts(moto_endpoint: str, monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """AWS for this machine; all that STS was asked for."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", moto_endpoint)
    asked: list[dict[str, Any]] = []
    made = s3_credentials._session

    def session(profile_name: str | None = None) -> boto3.session.Session:
        found = made(profile_name)
        found.events.register(
            "before-parameter-build.sts", lambda params, **_: asked.append(dict(params))
        )
        return found

    monkeypatch.setattr(s3_credentials, "_session", session)
    return asked


def ask(hours: float = 5.0, address: S3Address = HERE, role_arn: str = "") -> Grant:
    now = datetime.now(UTC)
    return grant_for_run(address, RUN, READS, now + timedelta(hours=hours), now, role_arn)


def test_on_aws_an_instance_gets_a_key_of_its_own(sts: list[dict[str, Any]]) -> None:
    grant = ask()
    assert not grant.warning
    assert grant.variables["AWS_SECRET_ACCESS_KEY"] != "only-on-loopback"
    assert grant.variables["AWS_SESSION_TOKEN"]
    assert grant.variables["AWS_DEFAULT_REGION"] == "us-east-1"
    (request,) = sts
    assert json.loads(request["Policy"]) == run_policy(HERE, RUN, READS)
    assert request["DurationSeconds"] == pytest.approx(5.25 * 3600, abs=1)
    assert grant.ends_at is not None
    assert every(value not in repr(grant) for value in grant.variables.values())


def test_a_temporary_key_is_passed_on_with_a_word(
    sts: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_SESSION_TOKEN", "mine")
    grant = ask()
    assert sts == [], "STS makes no key for a temporary one"
    assert grant.variables["AWS_SESSION_TOKEN"] == "mine"
    assert "your own key, which is temporary and ends at an unknown time" in grant.warning
    assert "every local user of this machine" in grant.warning
    assert "instance_role_arn" in grant.hint


ROLE = "arn:aws:iam::123456789012:role/trainer"


def test_a_temporary_key_gets_one_for_the_run_alone_by_the_role_that_is_named(
    sts: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_SESSION_TOKEN", "mine")
    grant = ask(role_arn=ROLE)
    assert not grant.warning
    assert grant.variables["AWS_SECRET_ACCESS_KEY"] != "only-on-loopback"
    assert grant.variables["AWS_SESSION_TOKEN"] != "mine"
    (request,) = sts
    assert request["RoleArn"] == ROLE
    assert json.loads(request["Policy"]) == run_policy(HERE, RUN, READS)
    assert request["DurationSeconds"] == pytest.approx(5.25 * 3600, abs=1)
    assert grant.ends_at is not None


def test_a_profile_s_role_is_assumed_anew_by_the_key_of_its_source(
    sts: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    config = tmp_path / "config"
    config.write_text(
        f"[profile work]\nrole_arn={ROLE}\nsource_profile=me\nexternal_id=seven\n"
        "[profile me]\naws_access_key_id=mine\naws_secret_access_key=my-own\n"
    )
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(config))
    monkeypatch.setenv("AWS_PROFILE", "work")
    grant = ask()
    assert not grant.warning
    request = sts[-1]
    assert (request["RoleArn"], request["ExternalId"]) == (ROLE, "seven")
    assert json.loads(request["Policy"]) == run_policy(HERE, RUN, READS)


def test_a_role_helps_a_user_who_may_not_make_a_key(
    sts: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    _refuse(monkeypatch, "AccessDenied", "not authorized")
    assert not ask(role_arn=ROLE).warning
    assert [request.get("RoleArn") for request in sts] == [None, ROLE]


@pytest.mark.parametrize(
    ("code", "message", "sentence"),
    [
        ("AccessDenied", "not authorized", f"your key may not assume {ROLE}"),
        (
            "ValidationError",
            "The requested DurationSeconds exceeds the 1 hour session limit for roles assumed by "
            "role chaining",
            f"{ROLE} cannot make a key that lasts as long as the run may",
        ),
    ],
)
def test_a_role_that_makes_no_key_leaves_the_own_one_and_is_named(
    sts: list[dict[str, Any]],
    monkeypatch: pytest.MonkeyPatch,
    code: str,
    message: str,
    sentence: str,
) -> None:
    monkeypatch.setenv("AWS_SESSION_TOKEN", "mine")
    _refuse(monkeypatch, code, message, "AssumeRole")
    grant = ask(role_arn=ROLE)
    assert grant.variables["AWS_SESSION_TOKEN"] == "mine"
    assert f"{sentence}: an instance gets your own key" in grant.warning
    assert "every local user of this machine" in grant.warning
    assert ("an hour at most" in grant.hint) == (code == "ValidationError")


def test_a_temporary_key_that_ends_too_early_is_refused() -> None:
    early = NOON + timedelta(hours=1)
    with pytest.raises(StoreDenied, match=r"ends at 2026-11-24 13:00 UTC.*until 2026-11-24 14:15"):
        s3_credentials._temporary({}, early, NOON + timedelta(hours=2.25))
    assert s3_credentials._temporary({}, early, early).ends_at == early


@pytest.mark.parametrize(
    ("code", "message", "sentence"),
    [
        ("InvalidClientTokenId", "no such key", "does not know the access key"),
        ("SignatureDoesNotMatch", "Signature expired: 1 is now earlier than 2", "the clock of"),
        ("ExpiredToken", "over", "has expired"),
        ("Strange", "odd", "STS answered GetFederationToken with Strange: odd"),
    ],
)
def test_what_sts_refuses_is_one_sentence(
    sts: list[dict[str, Any]],
    monkeypatch: pytest.MonkeyPatch,
    code: str,
    message: str,
    sentence: str,
) -> None:
    _refuse(monkeypatch, code, message)
    with pytest.raises(StoreDenied, match=sentence):
        ask()


def test_who_may_not_make_a_key_passes_on_his_own_and_is_told(
    sts: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    _refuse(monkeypatch, "AccessDenied", "not authorized")
    grant = ask()
    assert grant.variables["AWS_SECRET_ACCESS_KEY"] == "only-on-loopback"
    assert "may not make keys for instances, so the instance gets your own" in grant.warning
    assert "every local user of this machine" in grant.warning
    assert "sts:GetFederationToken" in grant.hint


def test_an_access_point_s_alias_has_no_key_for_a_run_alone(sts: list[dict[str, Any]]) -> None:
    """IAM does not know aliases (AWS's user guide, "Access point aliases"): a policy that named one
    would open nothing, and the instance would find that out."""
    grant = ask(address=S3Address("voices-hrzrlukc5m36ft7okagglf3gmwluquse1b-s3alias"))
    assert "the alias of an access point, so the instance gets your own" in grant.warning
    assert "use the name of the bucket" in grant.hint
    assert sts == []


def _refuse(
    monkeypatch: pytest.MonkeyPatch, code: str, message: str, operation: str = "GetFederationToken"
) -> None:
    """Has STS refuse every request of a kind."""
    made = s3_credentials._session

    def session(profile_name: str | None = None) -> boto3.session.Session:
        def refuse(**_: object) -> None:
            raise ClientError({"Error": {"Code": code, "Message": message}}, operation)

        found = made(profile_name)
        found.events.register(f"before-call.sts.{operation}", refuse)
        return found

    monkeypatch.setattr(s3_credentials, "_session", session)


def test_no_key_at_all(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    with pytest.raises(StoreDenied, match="there are no credentials for s3://voices"):
        ask()


def test_elsewhere_the_key_of_this_machine_is_passed_on(moto_endpoint: str) -> None:
    address = make_bucket(moto_endpoint, "elsewhere")
    boto3.client("s3", endpoint_url=moto_endpoint).create_bucket(Bucket="another-one")
    grant = ask(hours=1000, address=address)
    assert grant.variables["AWS_SECRET_ACCESS_KEY"] == "only-on-loopback"
    assert "an instance gets your own key, and the key has access to" in grant.warning


@pytest.fixture
def company(tmp_path: Path) -> Iterator[tuple[str, Path]]:
    """A server whose certificate no public authority vouches for: its URL, and that certificate."""
    certificate, key = tmp_path / "mine.pem", tmp_path / "mine.key"
    make = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"]
    name = ["-subj", "/CN=company", "-addext", "subjectAltName=IP:127.0.0.1"]
    files = ["-keyout", str(key), "-out", str(certificate)]
    subprocess.run([*make, *name, *files], check=True, stderr=subprocess.DEVNULL)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    with ThreadingHTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler) as server:
        server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        yield f"https://127.0.0.1:{server.server_port}", certificate
        server.shutdown()
        thread.join()


@pytest.mark.parametrize("variable", ["AWS_CA_BUNDLE", "REQUESTS_CA_BUNDLE"])
def test_a_server_of_an_authority_of_ones_own_is_refused_for_an_instance(
    variable: str,
    company: tuple[str, Path],
    monkeypatch: pytest.MonkeyPatch,
    moto_endpoint: str,
) -> None:
    url, certificate = company
    for name in ("AWS_CA_BUNDLE", "REQUESTS_CA_BUNDLE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv(variable, str(certificate))
    with pytest.raises(StoreDenied, match=rf"trusts {url} because of .*mine.pem") as caught:
        ask(address=S3Address("voices", endpoint_url=url))
    assert variable in caught.value.hint
    address = make_bucket(moto_endpoint, f"without-tls-{variable[:3].lower()}")
    assert ask(hours=1, address=address).variables["AWS_ACCESS_KEY_ID"], "nothing to trust"


def test_a_server_that_the_public_authorities_vouch_for_is_trusted_elsewhere_too(
    company: tuple[str, Path],
) -> None:
    url, certificate = company
    assert is_trusted(url, str(certificate))
    assert not is_trusted(url)
    assert not is_trusted("https://127.0.0.1:1", str(certificate)), "nobody answers"


@pytest.mark.parametrize("is_fixed", [True, False])
def test_a_key_that_ends_midway_is_told_from_one_that_may_be_renewed(
    moto_endpoint: str, monkeypatch: pytest.MonkeyPatch, *, is_fixed: bool
) -> None:
    if is_fixed:
        monkeypatch.setenv("AWS_SESSION_TOKEN", "ended")
    with fault_proxy(moto_endpoint) as proxy:
        store = S3Store(S3Address("voices", endpoint_url=proxy.url))
        proxy.faults.append(Fault("answer", "PUT", "voices", 1000, 400, "ExpiredToken"))
        with pytest.raises(StoreDenied, match="have expired") as refused:
            store.put("runs/mine/status.json", b"x")
    assert isinstance(refused.value, KeyExpired) == is_fixed
    assert ("resumes from the newest" in refused.value.hint) == is_fixed


def test_a_refused_object_that_is_not_listed_is_missing(moto_endpoint: str) -> None:
    """So AWS answers to a key that may list a part of the bucket only."""
    address = make_bucket(moto_endpoint, "partly-listed")
    S3Store(address).put("runs/mine/there", b"x")
    with fault_proxy(moto_endpoint) as proxy:
        store = S3Store(S3Address(address.bucket, address.prefix, endpoint_url=proxy.url))
        for name in ("there", "missing"):
            proxy.faults.append(Fault("answer", "GET", f"mine/{name}", 1000, 403, "AccessDenied"))
        with pytest.raises(KeyNotFound):
            store.get("runs/mine/missing")
        with pytest.raises(PermissionMissing):
            store.get("runs/mine/there")
