"""The place of an S3 store: bucket and prefix, and how to reach a server other than AWS.

One text, `s3://BUCKET/PREFIX?endpoint_url=…`, has all of it, so that a run's journal, task and
instance mean the same place. It contains no key or secret.
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
    """the URL of a server other than AWS"""
    addressing: Addressing = "auto"
    """whether the bucket is part of the path or of the host name"""
    region: str | None = None
    sse: Encryption | None = None
    """for policies that refuse writes without an encryption header"""
    sse_kms_key_id: str | None = None
    request_payer: str | None = None
    """`requester`, if the bucket's owner lets its users pay"""

    @property
    def url(self) -> str:
        """The text, as `parse_address` takes it."""
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
        """Equal for all addresses of this place, however they reach it."""
        return f"{self.endpoint_url or 'AWS'} {self.bucket}/{self.prefix}"

    @property
    def where(self) -> str:
        """The place, for use in a sentence."""
        at = f" at {self.endpoint_url}" if self.endpoint_url else ""
        return f"s3://{self.bucket}{at}"


def usual_addressing(endpoint_url: str | None) -> Addressing:
    """The default: few self-hosted servers have a host name for each bucket."""
    return "path" if endpoint_url else "auto"
