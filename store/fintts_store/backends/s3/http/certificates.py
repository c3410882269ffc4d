"""Compares the authorities that this machine trusts with those that every machine trusts."""

import os
import ssl
from typing import TYPE_CHECKING, Any, cast

from botocore.awsrequest import AWSRequest
from botocore.exceptions import ConnectionError as Unconnected
from botocore.exceptions import HTTPClientError
from botocore.httpsession import URLLib3Session
from botocore.utils import get_environ_proxies

from fintts_store.errors import StoreDenied

if TYPE_CHECKING:
    from boto3.session import Session


LIMIT_SECONDS = 10


def own_authorities(session: "Session") -> str | None:
    """The certificate file that this machine trusts instead of the public authorities."""
    named: str | None = cast("Any", session)._session.get_config_variable("ca_bundle")
    return named or os.environ.get("REQUESTS_CA_BUNDLE") or None


def refuse_no_certificates(session: "Session") -> None:
    """Raises StoreDenied if the file of trusted certificates is not one."""
    bundle = own_authorities(session)
    if bundle is None:
        return

    try:
        ssl.create_default_context(cafile=bundle)
    except (OSError, ValueError):  # no such file, or none of certificates
        raise StoreDenied(
            f"{bundle} is not a certificate file; AWS_CA_BUNDLE, REQUESTS_CA_BUNDLE or ca_bundle "
            "of the AWS profile names it",
            "correct it, or unset it to trust the usual authorities",
        ) from None


def refuse_own_authority(session: "Session", endpoint_url: str) -> None:
    """Raises StoreDenied for a server that this machine trusts only because of its own file. A
    company's file often includes the public authorities, too."""
    bundle = own_authorities(session)
    if bundle is None or not endpoint_url.startswith("https://") or is_trusted(endpoint_url):
        return
    raise StoreDenied(
        f"this machine trusts {endpoint_url} because of {bundle}, which a rented instance does "
        "not have",
        "give the server a certificate of a public authority; if it has one, but a proxy of "
        "this network replaces it, unset AWS_CA_BUNDLE, REQUESTS_CA_BUNDLE and ca_bundle in "
        "~/.aws/config, and launch from another network",
    )


def is_trusted(endpoint_url: str, authorities: str | bool = True) -> bool:
    """Whether a client that trusts only these authorities can connect to a server.

    Args:
        authorities: a certificate file; True for the public ones included in boto3.
    """

    session: Any = cast("Any", URLLib3Session)(
        verify=authorities,
        proxies=cast("Any", get_environ_proxies)(endpoint_url),
        timeout=LIMIT_SECONDS,
    )
    request: Any = cast("Any", AWSRequest)("HEAD", endpoint_url)
    try:
        session.send(request.prepare())
    except (HTTPClientError, Unconnected):
        return False
    finally:
        session.close()
    return True
