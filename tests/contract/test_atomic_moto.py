"""The emulated S3 keeps what the commit protocol stands on, however busy its machine is."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from moto.core.models import DEFAULT_ACCOUNT_ID
from moto.s3.models import s3_backends

from s3_servers import make_bucket

WRITERS = 4
SLOW_SECONDS = 0.2


def test_of_several_who_create_an_object_one_does(
    moto_endpoint: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_bucket(moto_endpoint, "contested")
    client = boto3.client("s3", endpoint_url=moto_endpoint, region_name="us-east-1")
    backend = s3_backends[DEFAULT_ACCOUNT_ID]["aws"]
    put_object = backend.put_object

    def put_slowly(*args: Any, **kwargs: Any) -> Any:
        time.sleep(SLOW_SECONDS)
        return put_object(*args, **kwargs)

    monkeypatch.setattr(backend, "put_object", put_slowly)

    def create(writer: int) -> str:
        try:
            body = str(writer).encode()
            client.put_object(Bucket="contested", Key="claim", Body=body, IfNoneMatch="*")
        except ClientError as error:
            return error.response["Error"]["Code"]
        return "created"

    with ThreadPoolExecutor(WRITERS) as threads:
        answers = sorted(threads.map(create, range(WRITERS)))
    assert answers == ["PreconditionFailed"] * (WRITERS - 1) + ["created"]
