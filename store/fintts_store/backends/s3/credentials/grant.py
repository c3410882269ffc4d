"""The key with which a rented instance accesses an S3 store.

On AWS, STS makes a key for one run: it gives access to the run's prefix and inputs, and expires
soon after the deadline. With a temporary key (SSO, a role), STS needs a role for that. Without such
a role, and on other servers, the instance gets this machine's key, and a warning says so.
"""

import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, cast

from fintts_store.backend import Grant
from fintts_store.backends.s3.addresses.address import S3Address
from fintts_store.backends.s3.credentials.session import open_session
from fintts_store.backends.s3.credentials.sts import (
    LONGEST_POLICY,
    Role,
    TooLong,
    Wanted,
    assumed,
    explained,
    federated,
    role_of_profile,
)
from fintts_store.backends.s3.http.certificates import refuse_own_authority
from fintts_store.backends.s3.http.errors import TOKEN
from fintts_store.backends.s3.s3 import S3Store
from fintts_store.errors import PermissionMissing, StoreDenied
from fintts_store.layout import run_prefix
from fintts_store.output.redaction import remember_secrets
from fintts_store.probes.probes import Verdict

if TYPE_CHECKING:
    from boto3.session import Session

HOUR, MINUTE = timedelta(hours=1), timedelta(minutes=1)
LONGEST = 36 * HOUR
SHORTEST = 15 * MINUTE
"""GetFederationToken takes no other durations"""
AFTER_DEADLINE = 15 * MINUTE
"""After the deadline, a trainer has 2 minutes to save, and is killed after 2 more; result and log
have 5. The rest allows for clocks that differ."""
WRITING = ("s3:PutObject", "s3:DeleteObject", "s3:AbortMultipartUpload")
ADDING = ("s3:PutObject", "s3:AbortMultipartUpload")
ASKED = ("run.json", "revisions/*", "ledger/*", "stop.json")
"""keys of a run that only laptops write; a trainer reads them, and writes everything else"""
ALIAS = "-s3alias"
"""suffix of an access point's alias, which IAM does not know"""
DIGEST_CHARACTERS = 10
"""digits of an input's digest in a policy, which has room for no more"""
TO_NAME = (
    "set instance_role_arn to a role that your key may assume and that has access to the store, "
    "or use the key of an IAM user; instances then get a key for their run only"
)
SHOWN = (
    "; SkyPilot's server shows it to every local user of this machine (/api/status?all_status=true)"
)


def run_policy(
    address: S3Address,
    run: str,
    reads: Sequence[str],
    partition: str = "aws",
    *,
    adds_to: Sequence[str] = (),
    may_use_kms: bool = True,
) -> dict[str, Any]:
    """The IAM policy of an instance: it may read its run and inputs, and write what a trainer
    writes. It can only read what laptops write (run.json, revisions, the ledger, a stop request),
    so a stolen key changes neither the run's configuration nor its maximum cost.

    Interrupted uploads are listed per bucket, since IAM has no prefix there. So the names of
    others' unfinished uploads are visible, but nothing else.

    Args:
        reads: keys of the store, or prefixes that end with `/`.
        adds_to: prefixes, each of which is also in `reads`, where it may write but not remove.
        may_use_kms: allows KMS keys, with which a bucket may encrypt every write.
    """
    bucket = f"arn:{partition}:s3:::{address.bucket}"
    folder = _literal(address.prefix + run_prefix(run))
    own = f"{folder}*"
    # in any bucket, which is shorter: this key writes in no other
    asked = [f"arn:{partition}:s3:::*/{_literal(run_prefix(run))}{name}" for name in ASKED]
    inputs = [_literal(address.prefix + _shortened(key)) + "*" for key in reads]
    added = [f"{bucket}/{_literal(address.prefix + _shortened(key))}*" for key in adds_to]
    return {
        "Version": "2012-10-17",
        "Statement": [
            _allow("s3:GetObject", [f"{bucket}/{name}" for name in (own, *inputs)]),
            _allow(WRITING, f"{bucket}/{own}"),
            _allow(WRITING, asked) | {"Effect": "Deny"},
            *([_allow(ADDING, added)] if added else []),
            _allow("s3:ListBucket", bucket)
            | {"Condition": {"StringLike": {"s3:prefix": [own, *inputs]}}},
            _allow("s3:ListBucketMultipartUploads", bucket),
            *([_BY_WAY_OF_S3] if may_use_kms else []),
        ],
    }


def _shortened(key: str) -> str:
    """An input's kind and the start of its digest, which no other input shares."""
    kind, _, digest = key.partition("/")
    return f"{kind}/{digest[:DIGEST_CHARACTERS].removesuffix('/')}"


def _allow(action: str | Sequence[str], resource: str | Sequence[str]) -> dict[str, Any]:
    action = action if isinstance(action, str) else list(action)
    return {"Effect": "Allow", "Action": action, "Resource": resource}


_BY_WAY_OF_S3 = _allow(("kms:GenerateDataKey", "kms:Decrypt"), "*") | {
    "Condition": {"StringLike": {"kms:ViaService": "s3.*"}}
}
"""Statement for the KMS keys that this machine's key may use"""


def _literal(name: str) -> str:
    """Escapes IAM's wildcards and variables."""
    return "".join(f"${{{letter}}}" if letter in "*?$" else letter for letter in name)


def lifetime(deadline_at: datetime, now: datetime) -> timedelta:
    """How long a run needs its key.

    Raises:
        StoreDenied: longer than STS allows.
    """
    needed = deadline_at + AFTER_DEADLINE - now
    if needed > LONGEST:
        raise StoreDenied(
            f"the run may last {(deadline_at - now) / HOUR:.1f} h, but an instance's key lasts "
            f"at most {LONGEST / HOUR:.0f} h, of which {AFTER_DEADLINE / MINUTE:.0f} minutes are "
            "reserved for the end",
            "lower --budget to get an earlier deadline; the same command then resumes the run",
        )
    return max(needed, SHORTEST)


def grant_for_run(
    address: S3Address,
    run: str,
    reads: Sequence[str],
    deadline_at: datetime,
    now: datetime,
    role_arn: str = "",
    adds_to: Sequence[str] = (),
) -> Grant:
    """Makes the key that the instance of a run gets; times are aware.

    Args:
        role_arn: the role that makes one if this machine's key cannot; empty for the profile's own
            role.
        adds_to: as in `run_policy`.

    Raises:
        StoreDenied: this machine has no key, a wrong one, or one that expires before the run may
            end; or the run may take longer than any key lasts.
        StoreUnreachable: STS does not answer.
    """
    with explained(address):
        session = _session()
    own, own_ends_at = _own_key(session, address)
    region = {"AWS_DEFAULT_REGION": session.region_name} if session.region_name else {}
    as_it_is = region | own
    if address.endpoint_url is not None:
        refuse_own_authority(session, address.endpoint_url)
        return _of_another_server(address, as_it_is)
    needed = lifetime(deadline_at, now)
    policy = _policy_text(session, address, run, reads, adds_to)
    wanted = Wanted(address, run, policy, int(needed.total_seconds()))
    try:
        made = _made(session, wanted, role_arn, is_temporary=TOKEN in own)
    except (PermissionMissing, TooLong) as error:
        if TOKEN in own:
            return _temporary(as_it_is, own_ends_at, now + needed, error)
        warning = f"{error.message}, so the instance gets your own{SHOWN}"
        return Grant(as_it_is, warning=warning, hint=error.hint)
    if made is None:
        return _temporary(as_it_is, own_ends_at, now + needed)
    ends_at = made["Expiration"].astimezone(UTC)
    if ends_at < deadline_at:
        raise StoreDenied(
            f"STS makes a key that ends at {ends_at:%Y-%m-%d %H:%M} UTC, before the deadline",
            "use the key of an IAM user: an account's root user gets an hour",
        )
    remember_secrets(made["SecretAccessKey"], made["SessionToken"])
    key = _variables(made["AccessKeyId"], made["SecretAccessKey"], made["SessionToken"])
    return Grant(region | key, ends_at, is_for_the_run=True)


def _policy_text(
    session: "Session",
    address: S3Address,
    run: str,
    reads: Sequence[str],
    adds_to: Sequence[str],
) -> str:
    with explained(address):
        partition = session.get_partition_for_region(session.region_name or "us-east-1")
    return fitting_policy(address, run, reads, partition, adds_to)


def fitting_policy(
    address: S3Address,
    run: str,
    reads: Sequence[str],
    partition: str = "aws",
    adds_to: Sequence[str] = (),
) -> str:
    """`run_policy` for STS. If a long prefix leaves no room, it omits the right to use KMS keys,
    unless the address needs one."""

    def text(*, may_use_kms: bool) -> str:
        policy = run_policy(
            address, run, reads, partition, adds_to=adds_to, may_use_kms=may_use_kms
        )
        return json.dumps(policy, separators=(",", ":"))

    whole = text(may_use_kms=True)
    is_asked_for = (address.sse or "").startswith("aws:kms")
    has_room = len(whole) <= LONGEST_POLICY
    return whole if has_room or is_asked_for else text(may_use_kms=False)


def _made(
    session: "Session", wanted: Wanted, role_arn: str, *, is_temporary: bool
) -> dict[str, Any] | None:
    """A user's key makes one itself, or with the given role; a temporary key only with a role. None
    if there is no role."""
    if wanted.address.bucket.endswith(ALIAS):
        raise PermissionMissing(
            f"STS cannot make a key for {wanted.address.where}, the alias of an access point",
            "use the name of the bucket; instances then get a key for their run only",
        )
    role = Role(role_arn, session) if role_arn else None
    if not is_temporary:
        try:
            return federated(session, wanted)
        except PermissionMissing:
            if role is None:
                raise
    with explained(wanted.address):
        role = role or role_of_profile(session, _session)
    return None if role is None else assumed(role, wanted)


def _own_key(session: "Session", address: S3Address) -> tuple[dict[str, str], datetime | None]:
    """This machine's key, and when it expires if that is known."""
    with explained(address):
        found: Any = cast("Any", session).get_credentials()
        if found is not None:
            key: Any = found.get_frozen_credentials()
            # boto3 shows the end nowhere else.
            ends_at: datetime | None = getattr(found, "_expiry_time", None)
            return _variables(key.access_key, key.secret_key, key.token), ends_at
    raise StoreDenied(
        f"there are no credentials for {address.where}, so an instance could not reach it",
        "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE",
    )


def _of_another_server(address: S3Address, as_it_is: dict[str, str]) -> Grant:
    reach = S3Store(address).probes.reach()
    if reach.verdict != Verdict.WARNING:
        return Grant(as_it_is)
    warning = f"an instance gets your own key, and {reach.sentence}{SHOWN}"
    return Grant(as_it_is, warning=warning, hint=reach.hint)


def _temporary(
    as_it_is: dict[str, str],
    ends_at: datetime | None,
    until: datetime,
    refused: StoreDenied | None = None,
) -> Grant:
    """Grants this machine's temporary key, since no role makes another.

    Args:
        refused: why the role cannot.
    """
    hint = refused.hint if refused else TO_NAME
    why = f"{refused.message}: " if refused else ""
    if ends_at is not None and ends_at < until:
        raise StoreDenied(
            f"{why}your own key ends at {ends_at:%Y-%m-%d %H:%M} UTC, but the run may need it "
            f"until {until.astimezone(UTC):%Y-%m-%d %H:%M} UTC",
            f"sign in again, or lower --budget; or {hint}",
        )
    when = "at an unknown time" if ends_at is None else f"{ends_at:%Y-%m-%d %H:%M} UTC"
    sentence = f"{why}an instance gets your own key, which is temporary and ends {when}{SHOWN}"
    return Grant(as_it_is, ends_at, sentence, hint)


def _session(profile_name: str | None = None) -> "Session":
    return open_session(profile_name)


def _variables(key: str, secret: str, token: str | None) -> dict[str, str]:
    """The variables that boto3 reads from an environment."""
    named = {"AWS_ACCESS_KEY_ID": key, "AWS_SECRET_ACCESS_KEY": secret}
    return named if token is None else named | {TOKEN: token}
