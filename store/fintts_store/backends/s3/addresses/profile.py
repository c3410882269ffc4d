"""The S3 server that AWS's own settings name, read as boto3 reads them."""

from __future__ import annotations

from typing import Any, cast

from botocore.configprovider import ConfiguredEndpointProvider
from botocore.session import Session

from fintts_store.backends.s3.credentials.session import explained_settings


def named_endpoint() -> str | None:
    """The URL of that server as written; None if none is named, or such settings are ignored.

    Raises:
        StoreDenied: the settings cannot be read.
    """
    with explained_settings():
        session: Any = cast("Any", Session())
        if session.get_config_variable("ignore_configured_endpoint_urls"):
            return None
        provider: Any = cast("Any", ConfiguredEndpointProvider)(
            session.full_config, session.get_scoped_config(), "s3"
        )
        found: str | None = provider.provide()
        return found
