"""Makes every request to S3: limits its time, checks its answer, retries temporary errors, and
turns errors into StoreErrors.

Only this file makes a boto3 client. It imports boto3, which takes a third of a second, on first
use.
"""

import threading
import time
from contextlib import AbstractContextManager, suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeVar, cast

from botocore.config import Config

from fintts_store.backends.s3.addresses.address import S3Address
from fintts_store.backends.s3.credentials.session import explained_settings, open_session
from fintts_store.backends.s3.http.answers import check_answers
from fintts_store.backends.s3.http.certificates import refuse_no_certificates
from fintts_store.backends.s3.http.errors import (
    deserves_a_second_try,
    explained_by_s3,
    region_wanted,
)
from fintts_store.backends.s3.http.headers import complete_requests
from fintts_store.backends.s3.http.limits import limit
from fintts_store.errors import KeyNotFound, StoreError, StoreUnreachable
from fintts_store.network.patience import PATIENT, Patience

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from mypy_boto3_s3.client import S3Client


CONNECTIONS = 40
"""More than the parallel requests of any caller"""

Answer = TypeVar("Answer")


class S3Requests:
    """Asks the server of one address."""

    def __init__(
        self,
        address: S3Address,
        patience: Patience = PATIENT,
        variables: "Mapping[str, str] | None" = None,
    ) -> None:
        self.address, self.patience, self._variables = address, patience, variables
        self._answered = threading.Event()
        self._first_lock = threading.Lock()
        self._client: S3Client | None = None

    def ask(
        self,
        request: "Callable[[S3Client], Answer]",
        key: str = "",
        *,
        tries_again_itself: bool = False,
    ) -> Answer:
        """The answer to a request, which may be sent more than once.

        Args:
            key: the request's key, for messages.
            tries_again_itself: the caller retries if the store cannot be reached.

        Raises:
            StoreError: every try failed; a refusal is tried at most twice.
        """
        self._require_first_answer()
        tried, client, has_followed = 0, None, False
        while True:
            try:
                with self.explained(key):
                    client = self.client
                    return request(client)
            except StoreError as error:
                if client is not None and not has_followed:
                    has_followed = self._follows(error, client)
                    if has_followed:
                        continue
                tried += 1
                passes = isinstance(error, StoreUnreachable)
                if tried >= self._tries(error) or (passes and tries_again_itself):
                    raise
                if not isinstance(error, KeyNotFound):
                    self.pause(tried)

    def pause(self, failures: int) -> None:
        """Waits before the same request is sent again."""
        time.sleep(self.patience.pause_seconds(failures))

    def has(self, name: str) -> bool:
        """Whether a listing has an object with exactly this name."""
        found = self.ask(
            lambda client: client.list_objects_v2(
                Bucket=self.address.bucket, Prefix=name, MaxKeys=1
            )
        )
        return any(item.get("Key") == name for item in found.get("Contents", []))

    def abort(self, name: str, upload: str) -> None:
        """Frees the parts of an upload; ignores one that has been finished or aborted."""
        with suppress(KeyNotFound):
            self.ask(
                lambda client: client.abort_multipart_upload(
                    Bucket=self.address.bucket, Key=name, UploadId=upload
                )
            )

    def _require_first_answer(self) -> None:
        """Raises StoreUnreachable if no answer comes within the limits of `at_first`."""
        if self.patience.at_first is None or self._answered.is_set():
            return
        bucket, prefix = self.address.bucket, self.address.prefix
        with self._first_lock:
            if self._answered.is_set():  # to another thread
                return
            try:
                S3Requests(self.address, self.patience.at_first, self._variables).ask(
                    lambda client: client.list_objects_v2(Bucket=bucket, Prefix=prefix, MaxKeys=1)
                )
            except StoreUnreachable:
                raise
            except StoreError:  # a refusal is an answer: the current request gives its details
                pass
            self._answered.set()

    def explained(self, key: str = "") -> AbstractContextManager[None]:
        """Turns errors of the block, which uses the client directly, into StoreErrors."""
        return explained_by_s3(self.address, key)

    def _tries(self, error: StoreError) -> int:
        if isinstance(error, StoreUnreachable):
            return self.patience.tries
        return 2 if deserves_a_second_try(error) else 1

    @property
    def client(self) -> "S3Client":
        """boto3's client, which threads may share."""
        if self._client is None:
            with self.explained():
                self._client = _make_client(self.address, self.patience, self._variables)
        return self._client

    def _follows(self, error: StoreError, client: "S3Client") -> bool:
        """Whether the server has named a region to sign the next request for."""
        region = region_wanted(error)
        if region in ("", client.meta.region_name):
            return False
        with self.explained():
            there = replace(self.address, region=region)
            self._client = _make_client(there, self.patience, self._variables)
        return True


def _make_client(
    address: S3Address, patience: Patience, variables: "Mapping[str, str] | None"
) -> "S3Client":
    # A separate session: threads may share a client, but not boto3's default session while it
    # makes one.
    session = open_session(variables=variables)
    if not (address.endpoint_url or "").startswith("http://"):
        refuse_no_certificates(session)
    with explained_settings():
        client = session.client(  # pyright: ignore[reportUnknownMemberType] # stubs of S3 alone
            "s3",
            endpoint_url=address.endpoint_url,
            region_name=address.region,
            config=_settings(address, patience),
        )
    limit(client, patience)
    complete_requests(client, address)
    check_answers(client)
    return client


def _settings(address: S3Address, patience: Patience) -> Config:

    made: Config = cast("Any", Config)(  # the stubs lack the last one
        retries={"mode": "standard", "total_max_attempts": 1},  # this class retries itself
        connect_timeout=patience.connect_seconds,
        read_timeout=patience.silent_seconds,
        max_pool_connections=CONNECTIONS,
        # The default sends a checksum after the body, which Ceph answers with 411.
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
        s3={"addressing_style": address.addressing},
        # The address is complete: an instance does not have this machine's settings.
        ignore_configured_endpoint_urls=True,
    )
    return made
