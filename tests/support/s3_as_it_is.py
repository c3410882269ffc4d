"""Servers that speak S3 with an accent of their own, each in front of one that has none.

What they answer is taken from their documentation, their source or reports of their users, as each
says; none of them was asked.
"""

from __future__ import annotations

import base64
import hashlib
import re
from dataclasses import dataclass
from xml.sax.saxutils import escape

from fault_proxy import Reply, Request

MB = 1024 * 1024
ERROR = (
    '<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>{}</Code><Message>{}</Message>{}</Error>'
)


def refusal(status: int, code: str, message: str, more: str = "") -> Reply:
    """An error as S3 writes it."""
    body = ERROR.format(code, escape(message), more).encode()
    return Reply(status, body, (("Content-Type", "application/xml"),))


def writes_an_object(request: Request) -> bool:
    """Whether bytes come, of an object or of a part of one."""
    return request.method == "PUT" and request.path.count("/") > 1


def begins_an_object(request: Request) -> bool:
    """Whether it says how an object is to be kept."""
    begins_parts = request.method == "POST" and "uploads" in request.path
    return begins_parts or (writes_an_object(request) and "partNumber" not in request.path)


class Backblaze:
    """B2 knows no conditional PUT.

    Source: users' reports (github.com/sathinduga/obsidian-s3-sync-and-backup, issue 78 and pull
    request 84).
    """

    def answer(self, request: Request) -> Reply | None:
        if request.method != "PUT" or "if-none-match" not in request.headers:
            return None
        message = "A header you provided implies functionality that is not implemented"
        return refusal(501, "NotImplemented", message)


class ObjectLock:
    """AWS, a bucket with a default retention: what comes without a digest is refused, a part too.

    Source: AWS's user guide ("Managing Object Lock"), and the answers as users saw them
    (github.com/versity/versitygw, issue 1740; github.com/s3tools/s3cmd, issue 1436).
    """

    def answer(self, request: Request) -> Reply | None:
        if not writes_an_object(request):
            return None
        told = request.headers.get("content-md5")
        if told is None and not any(name.startswith("x-amz-checksum-") for name in request.headers):
            what = "Part" if "partNumber" in request.path else "Object"
            needed = "Content-MD5 OR x-amz-checksum- HTTP header is required for Put"
            message = f"{needed} {what} requests with Object Lock parameters"
            return refusal(400, "InvalidRequest", message)
        if told not in (None, base64.b64encode(hashlib.md5(request.body).digest()).decode()):
            return refusal(400, "BadDigest", "The Content-MD5 you specified did not match")
        return None


@dataclass(frozen=True)
class WantsEncryption:
    """AWS, a bucket whose policy refuses what is written without these headers.

    A bucket's default encryption does not help: the policy looks at the request. Source: AWS's user
    guide ("Troubleshoot access denied errors", "Protecting data with SSE-KMS"), and users' reports
    (github.com/gomods/athens, issue 2165; github.com/velero-io/velero, issue 3793).
    """

    sse: str
    kms_key_id: str | None = None

    def answer(self, request: Request) -> Reply | None:
        said = request.headers.get("x-amz-server-side-encryption")
        key_id = request.headers.get("x-amz-server-side-encryption-aws-kms-key-id")
        if not begins_an_object(request) or (said, key_id) == (self.sse, self.kms_key_id):
            return None
        message = (
            "User: arn:aws:iam::123456789012:user/anna is not authorized to perform: s3:PutObject "
            'on resource: "arn:aws:s3:::voices/a" with an explicit deny in a resource-based policy'
        )
        return refusal(403, "AccessDenied", message)


@dataclass(frozen=True)
class KeyOfKmsIsClosed:
    """AWS, a bucket that is encrypted with a key of KMS that the user's key may not use.

    Source: AWS's user guide ("Troubleshoot access denied errors").
    """

    status: int = 403
    code: str = "AccessDenied"
    message: str = (
        "User: arn:aws:iam::123456789012:user/anna is not authorized to perform: "
        "kms:GenerateDataKey on resource: arn:aws:kms:eu-north-1:123456789012:key/1234abcd "
        "because no identity-based policy allows the kms:GenerateDataKey action"
    )

    def answer(self, request: Request) -> Reply | None:
        if not begins_an_object(request):
            return None
        return refusal(self.status, self.code, self.message)


@dataclass(frozen=True)
class ClosedToAnotherKey:
    """AWS, a bucket whose owner's key may do all, and the key that was made of it may not.

    Source: AWS's user guide ("Troubleshoot access denied errors": no session policy allows it).
    """

    method: str
    part: str
    """of a path"""
    action: str
    own: str = "testing"

    def answer(self, request: Request) -> Reply | None:
        is_own = f"Credential={self.own}/" in request.headers.get("authorization", "")
        if is_own or request.method != self.method or self.part not in request.path:
            return None
        message = (
            "User: arn:aws:sts::123456789012:federated-user/mine is not authorized to perform: "
            f"{self.action} on this resource because no session policy allows the {self.action} "
            "action"
        )
        return refusal(403, "AccessDenied", message)


@dataclass(frozen=True)
class Full:
    """A server in which nothing more fits, or may be stored.

    Sources: B2's 403 and its message (github.com/restic/restic, issue 3265, which saw it in B2's
    own protocol; that S3's calls it AccessDenied is a guess), MinIO's 507 (github.com/minio/minio,
    issue 6795), versitygw's 403 QuotaExceeded (github.com/versity/versitygw, pull request 503); a
    bare 507 is RFC 4918's.
    """

    status: int
    code: str
    message: str

    def answer(self, request: Request) -> Reply | None:
        if not writes_an_object(request):
            return None
        if not self.code:
            return Reply(self.status)
        return refusal(self.status, self.code, self.message)


@dataclass(frozen=True)
class Nginx:
    """nginx in front of a server, which lets no more through than its client_max_body_size.

    Source: nginx's documentation (1 MB unless it is set), and its page as users saw it
    (github.com/mickael-kerjean/filestash, issue 423).
    """

    most_bytes: int = MB

    def answer(self, request: Request) -> Reply | None:
        if len(request.body) <= self.most_bytes:
            return None
        title = "413 Request Entity Too Large"
        page = (
            f"<html>\r\n<head><title>{title}</title></head>\r\n<body>\r\n"
            f"<center><h1>{title}</h1></center>\r\n<hr><center>nginx/1.21.3</center>\r\n"
            "</body>\r\n</html>\r\n"
        )
        return Reply(413, page.encode(), (("Content-Type", "text/html"),))


@dataclass(frozen=True)
class InRegion:
    """A server that takes signatures for its own region alone.

    Sources: Garage's source (api/common/signature/error.rs) and its answer as users saw it, which
    in newer versions names the scope; AWS's answer (github.com/GoogleCloudPlatform/gsutil, issue
    1024). One that names no region is Backblaze's (its sample b2-browser-upload, issue 3).
    """

    region: str
    message: str
    element: bool

    def answer(self, request: Request) -> Reply | None:
        scope = re.search(
            r"Credential=[^/]*/(\d+/([^/]+)/s3/aws4_request)", request.headers["authorization"]
        )
        if scope is None or scope[2] == self.region:
            return None
        message = self.message.format(came=scope[1], wanted=scope[1].replace(scope[2], self.region))
        element = f"<Region>{self.region}</Region>" if self.element else ""
        return refusal(400, "AuthorizationHeaderMalformed", message, element)


class Fickle:
    """Names another region each time."""

    asked = 0

    def answer(self, request: Request) -> Reply | None:
        self.asked += 1
        element = f"<Region>region-{self.asked}</Region>"
        return refusal(400, "AuthorizationHeaderMalformed", "another one", element)


class RequesterPays:
    """AWS, a bucket whose owner lets those pay who use it.

    Source: AWS's user guide ("Downloading objects from Requester Pays buckets"): a request without
    the header is a 403. It does not say with which message.
    """

    message = "Access Denied"

    def answer(self, request: Request) -> Reply | None:
        if request.headers.get("x-amz-request-payer") == "requester":
            return None
        return refusal(403, "AccessDenied", self.message)


@dataclass(frozen=True)
class WantsTls:
    """A port for TLS that is asked without.

    Sources: nginx's page for its own status 497, Go's net/http (MinIO's) with its line of text.
    """

    body: bytes

    def answer(self, request: Request) -> Reply | None:
        return Reply(400, self.body)


NGINX_WANTS_TLS = WantsTls(
    b"<html>\r\n<head><title>400 The plain HTTP request was sent to HTTPS port</title></head>\r\n"
    b"<body>\r\n<center><h1>400 Bad Request</h1></center>\r\n<hr><center>nginx</center>\r\n"
    b"</body>\r\n</html>\r\n"
)
GO_WANTS_TLS = WantsTls(b"Client sent an HTTP request to an HTTPS server.\n")


class HasTheBucketInItsName:
    """An endpoint that names the bucket in its host, as DigitalOcean's dashboard shows it; it takes
    the whole path for a key.

    Source: the same mistake with R2's endpoint (github.com/AMAP-ML/SkillClaw, issue 33).
    """

    def answer(self, request: Request) -> Reply | None:
        if request.method != "GET":
            return None
        return refusal(404, "NoSuchKey", "The specified key does not exist.")


class Firewall:
    """A company's proxy, which refuses with a page of its own."""

    def answer(self, request: Request) -> Reply | None:
        page = b"<html><head><title>Blocked by policy 17</title></head><body>x</body></html>"
        return Reply(403, page, (("Content-Type", "text/html"),))


class Static:
    """A web server that answers whatever it is asked with a page, and with a page's headers."""

    def answer(self, request: Request) -> Reply | None:
        page = b"<!DOCTYPE html><html><body>Please sign in.</body></html>"
        headers = (("Content-Type", "text/html"), ("ETag", '"5f2a-267"'), ("Server", "nginx"))
        return Reply(200, page, headers)
