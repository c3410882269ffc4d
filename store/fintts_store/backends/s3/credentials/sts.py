"""Asks AWS's STS for the key of an instance, with the key of an IAM user or with a role.

Each request has a policy, so that the key can do no more than a run needs.
"""

from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from botocore.exceptions import BotoCoreError, ClientError
from botocore.parsers import ResponseParserError

from fintts_store.backends.s3.addresses.address import S3Address
from fintts_store.backends.s3.credentials.session import explained_settings
from fintts_store.errors import PermissionMissing, StoreDenied, StoreUnreachable

if TYPE_CHECKING:
    from boto3.session import Session


LONGEST_NAME = 32
LONGEST_POLICY = 2048
"""characters of a session policy"""
TO_ALLOW = "allow it sts:GetFederationToken (on *); instances then get a key for their run only"
TO_ASSUME = "allow your key sts:AssumeRole on it, and name your key in the role's trust policy"
REFUSED = frozenset({"AccessDenied", "AccessDeniedException"})
UNKNOWN = frozenset({"InvalidClientTokenId", "UnrecognizedClientException"})
EXPIRED = frozenset({"ExpiredToken", "ExpiredTokenException"})
WRONG_TIME = ("Signature expired", "Signature not yet current")
DURATION = "DurationSeconds"


class TooLong(StoreDenied):
    """The role's keys do not last as long as the run."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """The request for a run's key: its use, its rights and its duration."""

    address: S3Address
    run: str
    policy: str
    seconds: int

    def check(self) -> None:
        """Raises StoreDenied for a policy that STS does not accept."""
        if len(self.policy) > LONGEST_POLICY:
            raise StoreDenied(
                f"the store's prefix is too long: the key's policy has {len(self.policy):,} "
                f"characters, at most {LONGEST_POLICY:,}",
                "use a shorter prefix in --store",
            )


@dataclass(frozen=True, slots=True)
class Role:
    """A role, and the session whose key assumes it."""

    arn: str
    session: "Session"
    external_id: str = ""


def role_of_profile(session: "Session", make_session: "Callable[[str], Session]") -> Role | None:
    """The role of the current profile, to be assumed by the profile's source: the role's own key
    could make one for an hour at most."""
    found: Any = cast("Any", session).get_credentials()
    if found is None or found.method != "assume-role":
        return None
    profile: dict[str, str] = cast("Any", session)._session.get_scoped_config()
    arn, source = profile.get("role_arn"), profile.get("source_profile")
    if not arn or not source:
        return None
    return Role(arn, make_session(source), profile.get("external_id", ""))


def federated(session: "Session", wanted: Wanted) -> dict[str, Any]:
    """The key made with a user's key.

    Raises:
        PermissionMissing: the user's key may not make one.
        StoreDenied, StoreUnreachable: STS refuses or does not answer.
    """
    wanted.check()
    with explained(wanted.address):
        answer: dict[str, Any] = _client(session).get_federation_token(
            Name=_name(wanted), Policy=wanted.policy, DurationSeconds=wanted.seconds
        )
    return _credentials_of(answer)


def assumed(role: Role, wanted: Wanted) -> dict[str, Any]:
    """The key made by a role.

    Raises:
        PermissionMissing: the role may not be assumed.
        TooLong: the role makes none of this duration.
        StoreDenied, StoreUnreachable: STS refuses or does not answer.
    """
    wanted.check()
    outside = {"ExternalId": role.external_id} if role.external_id else {}
    with explained(wanted.address, role.arn):
        answer: dict[str, Any] = _client(role.session).assume_role(
            RoleArn=role.arn,
            RoleSessionName=_name(wanted),
            Policy=wanted.policy,
            DurationSeconds=wanted.seconds,
            **outside,
        )
    return _credentials_of(answer)


def _client(session: "Session") -> Any:
    with explained_settings():
        return cast("Any", session).client("sts", region_name=session.region_name or "us-east-1")


def _name(wanted: Wanted) -> str:
    return wanted.run[:LONGEST_NAME].ljust(2, "-")


def _credentials_of(answer: dict[str, Any]) -> dict[str, Any]:
    made: dict[str, Any] = answer.get("Credentials") or {}
    if not {"AccessKeyId", "SecretAccessKey", "SessionToken", "Expiration"} <= made.keys():
        raise StoreUnreachable(
            "STS answered without a key for the instance", "see `aws sts get-caller-identity`"
        )
    return made


@contextmanager
def explained(address: S3Address, role_arn: str = "") -> Generator[None]:
    """Turns errors of STS or boto3 into one sentence."""

    try:
        yield
    except ClientError as error:
        raise _refusal(error, role_arn) from error
    except (BotoCoreError, ResponseParserError) as error:
        said = (str(error) or type(error).__name__).splitlines()[0]
        raise StoreUnreachable(
            f"STS cannot make a key for {address.where}: {said}",
            "see `aws sts get-caller-identity`",
        ) from error


def _refusal(error: ClientError, role_arn: str) -> StoreDenied:
    told = error.response.get("Error", {})
    code, message = told.get("Code", ""), told.get("Message", "")
    if any(words in message for words in WRONG_TIME):
        return StoreDenied(
            "the clock of this machine differs too much from that of AWS",
            "correct it, for example with `timedatectl set-ntp true`",
        )
    if code in REFUSED and role_arn:
        return PermissionMissing(f"your key may not assume {role_arn}", TO_ASSUME)
    if code in REFUSED:
        return PermissionMissing("your key may not make keys for instances", TO_ALLOW)
    if code in UNKNOWN:
        return StoreDenied("AWS does not know the access key", "see `aws sts get-caller-identity`")
    if code in EXPIRED:
        return StoreDenied("your AWS key has expired", "sign in again (`aws sso login`)")
    if role_arn and DURATION in message:
        return TooLong(
            f"{role_arn} cannot make a key that lasts as long as the run may",
            "lower --budget to get an earlier deadline, or raise the role's maximum session "
            "duration; a role assumed by a temporary key (SSO, another role) lasts an hour at "
            "most",
        )
    return StoreDenied(f"STS answered {error.operation_name} with {code}: {message}")
