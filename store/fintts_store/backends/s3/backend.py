"""S3 as a kind of store: buckets of AWS, and of servers that speak its protocol.

boto3 takes a third of a second to import, so modules that need it are imported on use.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from urllib.parse import urlencode

from fintts_store.backend import Grant
from fintts_store.backends.s3.addresses.address import SCHEME, S3Address
from fintts_store.backends.s3.addresses.configured import configured_endpoint
from fintts_store.backends.s3.addresses.parse import parse_address
from fintts_store.backends.s3.transfer.parts import PARTS, Parts
from fintts_store.errors import StoreDenied
from fintts_store.network.patience import Patience
from fintts_store.network.reach import Obstacle, obstacle_to
from fintts_store.store import Store

ENDPOINT = "endpoint_url"


class S3Backend:
    """Backend documents the methods."""

    scheme = SCHEME
    environment = ("AWS_*",)

    def __init__(self, parts: Parts = PARTS) -> None:
        self._parts = parts

    def full_address(self, url: str, endpoint_url: str | None) -> str:
        """The address and its options take precedence over AWS's own settings."""
        named = parse_address(url)
        if f"{ENDPOINT}=" in url:
            _refuse_another(url, named, endpoint_url)
            return named.url
        server = endpoint_url or configured_endpoint()
        return _joined(url, server).url if server else named.url

    def place(self, url: str) -> str:
        return parse_address(url).place

    def cloud(self, url: str) -> str | None:
        return "aws" if parse_address(url).endpoint_url is None else None

    def open(self, url: str, patience: Patience) -> Store:
        from fintts_store.backends.s3.s3 import S3Store

        return S3Store(parse_address(url), patience, parts=self._parts)

    def obstacle(self, url: str) -> Obstacle | None:
        server = parse_address(url).endpoint_url
        return None if server is None else obstacle_to(server)

    def grant(
        self,
        url: str,
        run: str,
        reads: Sequence[str],
        deadline_at: datetime,
        role: str,
        *,
        adds_to: Sequence[str] = (),
    ) -> Grant:
        from fintts_store.backends.s3.credentials.grant import grant_for_run

        now = datetime.now(UTC)
        return grant_for_run(parse_address(url), run, reads, deadline_at, now, role, adds_to)

    def try_grant(
        self,
        url: str,
        run: str,
        reads: Sequence[str],
        grant: Grant,
        *,
        adds_to: Sequence[str] = (),
    ) -> None:
        from fintts_store.backends.s3.credentials.trial import try_key

        try_key(parse_address(url), run, reads, grant.variables, adds_to)


def _refuse_another(url: str, named: S3Address, endpoint_url: str | None) -> None:
    """Raises StoreDenied if the address and the separate setting name different servers."""
    if endpoint_url is None:
        return
    if named.place != _joined(url.partition("?")[0], endpoint_url).place:
        raise StoreDenied(
            f"the store {named.url} is configured for {endpoint_url}, but its address names "
            "another server",
            "remove s3_endpoint_url (--s3-endpoint-url), or the server in the address",
        )


def _joined(url: str, endpoint_url: str) -> S3Address:
    plain, _, query = url.partition("?")
    more = urlencode({ENDPOINT: endpoint_url})
    return parse_address(f"{plain}?{query}&{more}" if query else f"{plain}?{more}")
