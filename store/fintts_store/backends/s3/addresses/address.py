"""Where an S3 store lies: bucket and prefix, and for servers beside AWS how to reach them.

All of it is in one text, `s3://BUCKET/PREFIX?endpoint_url=…`, so that a run's journal, its task
and its instance mean the same place. It holds no key and no secret.
"""

from dataclasses import dataclass
from typing import Literal
from urllib.parse import urlencode

SCHEME = "s3"
BEGINNING = f"{SCHEME}://"
Addressing = Literal["auto", "path", "virtual"]
Encryption = Literal["AES256", "aws:kms", "aws:kms:dsse"]


@dataclass(frozen=True, slots=True)
class S3Address:
    """A place in a bucket; `prefix` is empty or ends with `/`."""

    bucket: str
    prefix: str = ""
    endpoint_url: str | None = None
    """of a server that is not AWS"""
    addressing: Addressing = "auto"
    """whether the bucket is part of the path or of the host's name"""
    region: str | None = None
    sse: Encryption | None = None
    """for a policy that refuses what is written without an encryption header"""
    sse_kms_key_id: str | None = None
    request_payer: str | None = None
    """`requester`, where the bucket's owner lets those pay who use it"""

    @property
    def url(self) -> str:
        """The text that `parse_address` takes."""
        usual = usual_addressing(self.endpoint_url)
        given = {
            "endpoint_url": self.endpoint_url,
            "addressing": None if self.addressing == usual else self.addressing,
            "region": self.region,
            "sse": self.sse,
            "sse_kms_key_id": self.sse_kms_key_id,
            "request_payer": self.request_payer,
        }
        query = urlencode({name: value for name, value in given.items() if value is not None})
        place = f"{BEGINNING}{self.bucket}/{self.prefix}".rstrip("/")
        return f"{place}?{query}" if query else place

    @property
    def place(self) -> str:
        """The same for all who mean this place, however they reach it."""
        return f"{self.endpoint_url or 'AWS'} {self.bucket}/{self.prefix}"

    @property
    def where(self) -> str:
        """For a sentence."""
        at = f" at {self.endpoint_url}" if self.endpoint_url else ""
        return f"s3://{self.bucket}{at}"


def usual_addressing(endpoint_url: str | None) -> Addressing:
    """Few servers of one's own have a name for each bucket."""
    return "path" if endpoint_url else "auto"
