"""moto as S3 is: who creates an object that must not be there yet is alone in it."""

from __future__ import annotations

import threading
from typing import Any

from moto.s3.responses import S3Response

_put_object = S3Response.put_object
_one_at_a_time = threading.Lock()


def _put_object_alone(self: S3Response) -> Any:
    with _one_at_a_time:
        return _put_object(self)


def make_puts_atomic() -> None:
    """For this process, from now on: moto looks whether the object is there, and puts it, in two
    steps, between which another thread may do the same."""
    setattr(S3Response, "put_object", _put_object_alone)  # noqa: B010 - mypy takes no assignment
