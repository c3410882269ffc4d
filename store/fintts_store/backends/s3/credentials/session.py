"""boto3's session: checks this machine's AWS settings before using them.

An error about a malformed key names its variable, profile or program, and never shows the key.
"""

import os
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from typing import Any, cast

from boto3.session import Session
from botocore import exceptions as known

from fintts_store.backends.s3.credentials.credential_process import limit_processes
from fintts_store.errors import StoreDenied
from fintts_store.network.proxies import TO_WRITE, malformed_proxy
from fintts_store.output.redaction import fault_of_name, fault_of_secret, remember_secrets

KEY, SECRET = "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"
TOKENS = ("AWS_SECURITY_TOKEN", "AWS_SESSION_TOKEN")
"""boto3 takes the first that is there"""
REGIONS = ("AWS_REGION", "AWS_DEFAULT_REGION")
"""a region is part of the header that signs a request"""
PROFILES = ("AWS_PROFILE", "AWS_DEFAULT_PROFILE")
TO_SET = "set it again; a line break may come from the file that it was read from"
PARTS = {
    "access_key": "aws_access_key_id",
    "secret_key": "aws_secret_access_key",
    "token": "aws_session_token",
}
"""the name of a key's field in a profile"""
NUMBERS = {
    "max_attempts": "AWS_MAX_ATTEMPTS",
    "metadata_service_timeout": "AWS_METADATA_SERVICE_TIMEOUT",
    "metadata_service_num_attempts": "AWS_METADATA_SERVICE_NUM_ATTEMPTS",
}
FILES = ("shared-credentials-file", "config-file")
"""boto3's names for the source of a key"""
UNUSABLE = (
    ArithmeticError,
    AttributeError,
    LookupError,
    OSError,
    RuntimeError,
    TypeError,
    ValueError,
)
"""What boto3 raises for unexpected settings"""


def open_session(
    profile_name: str | None = None, variables: Mapping[str, str] | None = None
) -> Session:
    """A session whose key, if there is one, is well formed.

    Args:
        profile_name: None for the current profile.
        variables: the key and region, instead of this process's environment.

    Raises:
        StoreDenied: this machine's AWS settings or its key are malformed.
        BotoCoreError, ClientError: the source of the key does not answer.
    """

    if (name := malformed_proxy()) != "":
        raise StoreDenied(f"{name} is not the URL of a proxy", TO_WRITE)
    if profile_name is None and variables is None:
        _check_environment()
    with explained_settings():
        given = variables or {}
        session = Session(
            given.get(KEY),
            given.get(SECRET),
            given.get("AWS_SESSION_TOKEN"),
            given.get("AWS_DEFAULT_REGION"),
            profile_name=profile_name,
        )
        _check_settings(cast("Any", session)._session)
        limit_processes(session)
        _check_key(session)
    return session


@contextmanager
def explained_settings() -> Generator[None]:
    """Turns boto3's errors about settings into StoreDenied; leaves a server's errors unchanged."""

    try:
        yield
    except (known.HTTPClientError, known.ConnectionError, known.IncompleteReadError):
        raise
    except (known.TokenRetrievalError, known.SSOError):
        raise
    except known.ProfileNotFound as error:
        raise _profile_missing(error) from error
    except known.ConfigParseError as error:
        path = cast("dict[str, object]", error.kwargs)["path"]
        raise StoreDenied(
            f"{path} is not an AWS settings file",
            "write [sections] with NAME = VALUE below them; see `aws configure`",
        ) from None
    except (known.BotoCoreError, *UNUSABLE) as error:
        raise StoreDenied(
            f"the AWS settings of this machine cannot be used: {_said(error)}",
            "see `aws configure list`, ~/.aws/config and the variables that start with AWS_",
        ) from error


def _said(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    return (next(iter(str(error).splitlines()), "") or type(error).__name__).rstrip(".")


def _profile_missing(error: Exception) -> StoreDenied:
    variable = next((name for name in PROFILES if name in os.environ), PROFILES[0])
    named = os.environ.get(variable)
    if named is not None and not named.strip():
        return StoreDenied(f"{variable} is empty", "unset it, or set it to the name of a profile")
    if named is not None and (fault := fault_of_name(named)):
        return StoreDenied(f"{variable} {fault}", TO_SET)
    name = cast("dict[str, object]", getattr(error, "kwargs", {})).get("profile", named)
    return StoreDenied(
        f"there is no AWS profile {name} on this machine",
        "`aws configure list-profiles` lists the profiles; AWS_PROFILE selects one",
    )


def _check_environment() -> None:
    names = (KEY, SECRET, *TOKENS, *REGIONS)
    given = {name: os.environ[name] for name in names if os.environ.get(name)}
    for name, value in given.items():
        fault = fault_of_secret(value)
        if fault:
            raise StoreDenied(f"{name} {fault}", TO_SET)
    for name, other in ((SECRET, KEY), (KEY, SECRET)):
        # AWS's tools ignore a secret without a variable for its key.
        if other in given and name not in given and (name == SECRET or name in os.environ):
            state = "is empty" if name in os.environ else "is not set"
            raise StoreDenied(f"{name} {state}, and {other} is set", "set both, or neither")


def _check_settings(core: Any) -> None:
    """Raises errors that boto3 would raise later; remembers all profiles' secrets for redaction."""
    for name, variable in NUMBERS.items():
        try:
            core.get_config_variable(name)
        except ValueError:
            raise StoreDenied(
                f"{variable}, or {name} of the AWS profile, is not a number",
                "correct it, or unset it",
            ) from None
    for profile in core.full_config.get("profiles", {}).values():
        remember_secrets(*(str(profile.get(name, "")) for name in PARTS.values()))


def _check_key(session: Session) -> None:
    found: Any = cast("Any", session).get_credentials()
    if found is None:
        empty = [name for name in (KEY, SECRET) if os.environ.get(name) == ""]
        if empty:
            raise StoreDenied(
                f"{' and '.join(empty)} {'are' if len(empty) > 1 else 'is'} empty, and there is "
                "no other AWS key",
                "set both, or AWS_PROFILE",
            )
        return
    key: Any = found.get_frozen_credentials()
    remember_secrets(*(str(getattr(key, part) or "") for part in PARTS))
    where = f" of the AWS profile {session.profile_name}" if found.method in FILES else ""
    for part, name in PARTS.items():
        value: object = getattr(key, part)
        fault = "" if part == "token" and not value else fault_of_secret(value)
        if fault:
            raise StoreDenied(f"{name}{where or f' ({found.method})'} {fault}", TO_SET)
