"""No secret is said, whatever goes wrong; a key that no request can carry is named before."""

from __future__ import annotations

import json
import logging
import os
import stat
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import quote

import pytest

from fault_proxy import Fault, fault_proxy
from fintts_store.backends.s3.addresses.address import S3Address
from fintts_store.backends.s3.credentials import credential_process
from fintts_store.backends.s3.credentials.grant import grant_for_run
from fintts_store.backends.s3.s3 import S3Store
from fintts_store.errors import StoreDenied, StoreError, StoreUnreachable
from fintts_store.opening import at_endpoint, open_store
from fintts_store.output.redaction import (
    clean_logs,
    fault_of_secret,
    remember_secrets,
    without_secrets,
)
from fintts_store.output.visible import one_line, visible
from s3_servers import QUICK, make_bucket
from screen import at_a_terminal

KEY = "AKIAPLANTED00PLANTED"
SECRET = "planted+Secret/with+slash0123456789abcd"
TOKEN = "FwoGZXIvYXdzEPLANTEDplantedPLANTEDplanted=="
HUB = "hf_plantedPlantedPlantedPlanted"
PLANTED = (KEY, SECRET, TOKEN, HUB)


def shows_nothing(*texts: str) -> None:
    for text in texts:
        for secret in PLANTED:
            for form in (secret, quote(secret, safe=""), quote(secret)):
                assert form not in text, text


# --- what is taken out ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        f"https://h/a?X-Amz-Credential={KEY}%2F2026&X-Amz-Signature=abcdef0123&x=1",
        f"https://h/a?X-Amz-Security-Token={quote(TOKEN, safe='')}&x=1",
        f"{{'X-Amz-Security-Token': '{TOKEN}', 'Date': '2026'}}",
        f"{{'Authorization': b'AWS4-HMAC-SHA256 Credential={KEY}/x, Signature=abcdef0123'}}",
        f"Authorization: Bearer {HUB}",
        f"('authorization', 'Bearer {SECRET}')",
        f"the header was Bearer {SECRET}",
        f"http://me:{SECRET}@host/path and more",
        f"s3://{KEY}:{SECRET}@bucket/exp",
        f"https%3A%2F%2Fme%3A{quote(SECRET, safe='')}%40host",
        f"https://{HUB}@huggingface.co/a/b",
        f"proxy http://me:{quote(SECRET, safe='')}@proxy:3128 failed",
        f"[default]\naws_secret_access_key = {SECRET}\naws_session_token={TOKEN}",
        f'{{"AccessKeyId": "{KEY}", "SecretAccessKey": "{SECRET}", "SessionToken": "{TOKEN}"}}',
        f"<AccessKeyId>{KEY}</AccessKeyId><SecretAccessKey>{SECRET}</SecretAccessKey>",
        f"key {KEY} and {HUB}.",
        f"401 Client Error: Unauthorized for url: https://h/api/v0/instances?owner=me&api_key={TOKEN}",
        f"Max retries exceeded with url: /graphql?api_key={SECRET} (Caused by it)",
        f"https://h/a?x=1&access_token={quote(SECRET, safe='')}#end",
        f"https://h/a?key={SECRET}&x=1",
        f"https://h/container?sv=2026&sig={quote(SECRET, safe='')}",
    ],
)
def test_what_opens_something_is_taken_out(text: str) -> None:
    for clean in (without_secrets(text), visible(text), one_line(text)):
        shows_nothing(clean)
        assert "abcdef0123" not in clean
    error = StoreError(text, text)
    shows_nothing(error.message, error.hint, str(error), repr(error))


@pytest.mark.parametrize(
    "text",
    [
        "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE",
        "s3://bucket/exp?endpoint_url=http%3A%2F%2F127.0.0.1%3A9000&region=auto",
        "https://host:9000/a/b, and me@example.org",
        "the token in HF_TOKEN has a character that is not ASCII",
        "https://host/bucket?list-type=2&key-marker=a/b&sse_kms_key_id=one",
        '{"store": "s3://bucket/exp", "deadline_at": "2026-11-29T20:00:00Z"}',
        "runs/mine/commits/000001-000000900-0123abcd.json is damaged",
    ],
)
def test_the_rest_stays(text: str) -> None:
    assert without_secrets(text) == text


@pytest.mark.parametrize(
    "name", ["AWS_SESSION_TOKEN", "AWS_SECRET_ACCESS_KEY", "HF_TOKEN", "RUNPOD_API_KEY"]
)
@pytest.mark.parametrize("odd", ["{}\n", " {}", "{}\n{}", "ä{}", "{}\x00"])
def test_what_a_variable_holds_is_taken_out_in_each_spelling(
    name: str, odd: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    value = odd.replace("\x00", "\x01").format(SECRET, SECRET)
    monkeypatch.setenv(name, value)
    for text in (value, repr(value), ascii(value), repr(value.encode()), quote(value, safe="")):
        shows_nothing(without_secrets(f"invalid header value {text}"))


def test_what_was_learnt_is_taken_out() -> None:
    assert "kept-by-nobody" in without_secrets("kept-by-nobody-0")
    remember_secrets("kept-by-nobody-0", None, "")
    assert without_secrets("it is kept-by-nobody-0!") == "it is …!"


@pytest.mark.parametrize("url", ["https://", "http://", "S3://", "postgres://", "https://x"])
def test_the_scheme_of_a_url_is_no_secret(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("A_TOKEN", url)
    remember_secrets(url)
    said = f"must begin with {url}, not with {url.lower()}"
    assert without_secrets(said) == said
    remember_secrets(f"{url}kept-by-nobody-1")
    assert without_secrets(f"not {url}kept-by-nobody-1") == "not …"


def test_what_libraries_log_has_none(caplog: pytest.LogCaptureFixture) -> None:
    before = logging.getLogRecordFactory()
    clean_logs()
    try:
        log = logging.getLogger("of-a-library")
        log.warning("GET %s failed, try %d", f"http://me:{SECRET}@host", 3)
        try:
            raise ValueError(f"Bearer {TOKEN}")
        except ValueError:
            log.exception("odd %d of %s", HUB)
    finally:
        logging.setLogRecordFactory(before)
    assert "GET http://…@host failed, try 3" in caplog.text
    assert "ValueError: Bearer …" in caplog.text
    shows_nothing(caplog.text)


# --- keys that no request can carry ---------------------------------------------------------------

MALFORMED = {
    "a space or a line break at its": ["{}\n", "{}\r\n", " {}", "\t{}", "{} ", "  "],
    "a space or a line break": ["{0}\n{0}", "{0} {0}"],
    "not ASCII": ["{}ä", "\u201c{}\u201d", "{}\u200b"],
    "a control character": ["{}\x01", "\x1b{}"],
}
EACH = [(said, odd) for said, spellings in MALFORMED.items() for odd in spellings]


@pytest.mark.parametrize(("said", "odd"), EACH)
def test_a_malformed_secret_is_described_and_not_shown(said: str, odd: str) -> None:
    assert said in fault_of_secret(odd.format(SECRET))
    assert fault_of_secret(SECRET) == ""
    assert fault_of_secret("") == "is empty"
    assert fault_of_secret(7) == "is no text"


@pytest.fixture
def aws(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine whose keys are planted; returns the folder of its AWS settings."""
    for name in ("AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_SECURITY_TOKEN", "AWS_ENDPOINT_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", KEY)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    return tmp_path


NOWHERE = S3Address("bucket", endpoint_url="http://127.0.0.1:9", addressing="path")


def refused(said: str, address: S3Address = NOWHERE, kind: type[StoreError] = StoreDenied) -> str:
    """Both ways to a key: the store's, and that of an instance's."""
    now = datetime.now(UTC)
    attempts: list[Callable[[], object]] = [
        lambda: S3Store(address, QUICK).get("a"),
        lambda: grant_for_run(address, "mine", [], now + timedelta(hours=1), now),
    ]
    for attempt in attempts:
        with pytest.raises(kind, match=said) as caught:
            attempt()
        shows_nothing(caught.value.message, caught.value.hint)
        assert caught.value.hint
    return caught.value.message


@pytest.mark.parametrize(
    "name", ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"]
)
@pytest.mark.parametrize(("said", "odd"), EACH)
def test_a_malformed_variable_is_named(
    name: str, said: str, odd: str, aws: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, odd.format(TOKEN))
    assert refused(f"{name} has .*{said}").startswith(name)


@pytest.mark.parametrize(
    ("variables", "said"),
    [
        ({"AWS_SECRET_ACCESS_KEY": ""}, "AWS_SECRET_ACCESS_KEY is empty, and AWS_ACCESS_KEY_ID is"),
        ({"AWS_SECRET_ACCESS_KEY": None}, "AWS_SECRET_ACCESS_KEY is not set, and AWS_ACCESS"),
        ({"AWS_ACCESS_KEY_ID": ""}, "AWS_ACCESS_KEY_ID is empty, and AWS_SECRET_ACCESS_KEY is set"),
        (
            {"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": ""},
            "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY are empty",
        ),
    ],
)
def test_half_a_key_is_named(
    variables: dict[str, str | None], said: str, aws: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in variables.items():
        if value is None:
            monkeypatch.delenv(name)
        else:
            monkeypatch.setenv(name, value)
    refused(said)


@pytest.fixture
def profiles(aws: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Writes ~/.aws, and leaves no key in the environment."""
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")

    def write(config: str = "", credentials: str = "") -> None:
        (aws / "config").write_text(config)
        (aws / "credentials").write_text(credentials)

    return write


WHOLE = f"[default]\naws_access_key_id = {KEY}\naws_secret_access_key = {SECRET}\n"


@pytest.mark.parametrize(
    ("config", "credentials", "said"),
    [
        (
            "",
            WHOLE.replace(SECRET, f"{SECRET}ä"),
            "aws_secret_access_key of the AWS profile default",
        ),
        ("", f"{WHOLE}aws_session_token = {TOKEN} {TOKEN}\n", "aws_session_token of the AWS prof"),
        ("", f"[default]\naws_access_key_id = {KEY}\n", "aws_secret_access_key"),
        (
            "",
            f"aws_secret_access_key = {SECRET}\n{WHOLE}",
            "credentials is not an AWS settings file",
        ),
        (f"aws_secret_access_key = {SECRET}", WHOLE, "config is not an AWS settings file"),
        (f"{{'key': '{SECRET}'}}", "", "config is not an AWS settings file"),
        (
            f"[default]\nsso_session = none\nsso_account_id = 1\nsso_role_name = {SECRET}\n",
            "",
            "sso",
        ),
        ("[default]\nrole_arn = arn:aws:iam::1:role/a\nsource_profile = none\n", WHOLE, "none"),
        ("[default]\nmax_attempts = many\n", WHOLE, "is not a number"),
    ],
)
def test_settings_that_are_none_are_a_sentence(
    config: str, credentials: str, said: str, profiles: Callable[..., None]
) -> None:
    profiles(config, credentials)
    refused(said)


@pytest.mark.parametrize(
    ("variables", "said"),
    [
        ({"AWS_PROFILE": ""}, "AWS_PROFILE is empty"),
        ({"AWS_PROFILE": "nobody"}, "there is no AWS profile nobody"),
        ({"AWS_MAX_ATTEMPTS": "many"}, "AWS_MAX_ATTEMPTS, or max_attempts .* is not a number"),
        ({"AWS_DEFAULT_REGION": "eu west 1"}, "^AWS_DEFAULT_REGION has a space"),
        ({"AWS_DEFAULT_REGION": "us-east-1\n"}, "^AWS_DEFAULT_REGION has a space or a line break"),
        ({"AWS_REGION": "us-east-1\n"}, "^AWS_REGION has a space or a line break at its"),
        ({"AWS_PROFILE": "default\n"}, "^AWS_PROFILE has a space or a line break at its"),
        ({"AWS_DEFAULT_PROFILE": "a\x01b"}, "^AWS_DEFAULT_PROFILE has a control character"),
        ({"AWS_CREDENTIAL_EXPIRATION": "tomorrow"}, "the AWS settings .*tomorrow"),
        ({"HTTP_PROXY": f"http://me:{SECRET}@["}, "HTTP_PROXY is not the URL of a proxy"),
        ({"https_proxy": f"http://me:{SECRET}"}, "https_proxy is not the URL of a proxy"),
        ({"HTTPS_PROXY": f"me:{SECRET}"}, "HTTPS_PROXY is not the URL of a proxy"),
        ({"ALL_PROXY": f"socks5://me:{SECRET}@h:port"}, "ALL_PROXY is not the URL of a proxy"),
        ({"HTTP_PROXY": f"http://me:{SECRET}@127.0.0.1:9"}, "HTTP_PROXY is not the URL of a proxy"),
        ({"HTTP_PROXY": f"http://me:{quote(SECRET, safe='')}@127.0.0.1:9"}, "s3://bucket"),
    ],
)
def test_variables_that_are_none_are_a_sentence(
    variables: dict[str, str], said: str, aws: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(StoreError, match=said) as caught:
        S3Store(NOWHERE).get("a")
    shows_nothing(caught.value.message, caught.value.hint)


@pytest.mark.parametrize("name", ["HTTP_PROXY", "http_proxy"])
@pytest.mark.parametrize("scheme", ["http", "socks5"])
def test_a_proxy_that_does_not_answer_is_named_by_its_variable(
    name: str, scheme: str, aws: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, f"{scheme}://me:{quote(SECRET, safe='')}@127.0.0.1:9")
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    behind = replace(NOWHERE, endpoint_url="http://store.example")
    with pytest.raises(StoreUnreachable) as caught:
        S3Store(behind).get("a")
    assert caught.value.message == (
        f"s3://bucket at http://store.example cannot be reached: the proxy in {name} does not "
        "answer"
    )
    assert f"correct {name} to the http://HOST:PORT" in caught.value.hint
    assert "add store.example to NO_PROXY" in caught.value.hint


@pytest.mark.parametrize("content", [None, "", "no certificate"])
def test_a_file_of_certificates_that_is_none_is_named(
    content: str | None, aws: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if content is not None:
        (aws / "bundle.pem").write_text(content)
    monkeypatch.setenv("AWS_CA_BUNDLE", str(aws / "bundle.pem"))
    with pytest.raises(StoreDenied, match=r"bundle\.pem is not a certificate file; AWS_CA_BUNDLE"):
        S3Store(S3Address("bucket", endpoint_url="https://127.0.0.1:9")).get("a")


# --- programs that print keys ---------------------------------------------------------------------

PRINTED = {"Version": 1, "AccessKeyId": KEY, "SecretAccessKey": SECRET, "SessionToken": TOKEN}


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (f"print({SECRET!r})", "printed something other than JSON"),
        (f"print({json.dumps(PRINTED)[:-40]!r})", "printed something other than JSON"),
        ("pass", "printed nothing"),
        (f"print([{SECRET!r}])", "something other than JSON"),
        (f"print('[\"' + {SECRET!r} + '\"]')", "did not print a JSON object"),
        (f"import sys; sys.exit({SECRET!r})", "failed with exit code 1"),
        (
            f"import sys; sys.stdout.buffer.write(b'\\xff' + {SECRET!r}.encode())",
            "something other than JSON",
        ),
        (f"print({json.dumps(PRINTED | {'Version': TOKEN})!r})", "a Version other than 1"),
        (
            f"print({json.dumps({'Version': 1, 'AccessKeyId': KEY})!r})",
            "printed no SecretAccessKey",
        ),
        (f"print({json.dumps(PRINTED | {'SecretAccessKey': [SECRET]})!r})", "no SecretAccessKey"),
        (f"print({json.dumps(PRINTED | {'SessionToken': TOKEN + chr(10)})!r})", "the SessionToken"),
        (f"print({json.dumps(PRINTED | {'Expiration': 'soon'})!r})", "the AWS settings of this"),
        (f"print({json.dumps(PRINTED | {'Expiration': '2001-01-01T00:00:00Z'})!r})", "expired"),
        ("import time; time.sleep(1000)", "did not answer within"),
    ],
)
def test_a_program_that_prints_no_key_is_a_sentence(
    body: str,
    said: str,
    aws: Path,
    profiles: Callable[..., None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # Patched, since botocore makes the process and passes it nothing of ours.
    limit = 0.2 if "sleep" in body else 60.0
    monkeypatch.setattr(credential_process, "LIMIT_SECONDS", limit)
    program = aws / "print-key"
    program.write_text(f"#!{sys.executable} -S\n{body}\n")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    of_another = "[profile a]\nrole_arn = arn:aws:iam::1:role/a\nsource_profile = default\n"
    profiles(f"[default]\ncredential_process = {program}\n{of_another}")
    refused(said)
    monkeypatch.setenv("AWS_PROFILE", "a")
    with pytest.raises(StoreDenied) as caught:
        S3Store(NOWHERE).get("a")
    shows_nothing(caught.value.message)


def test_what_a_slow_program_began_ends_with_it(
    aws: Path, profiles: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A wrapper in shell that waits for the program proper, as most are."""
    # Patched, since botocore makes the process and passes it nothing of ours.
    monkeypatch.setattr(credential_process, "LIMIT_SECONDS", 1.0)
    program, started = aws / "print-key", aws / "started"
    program.write_text(f"#!/bin/sh\nsleep 1000 &\necho $! > {started}\nwait\n")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    profiles(f"[default]\ncredential_process = {program}\n")
    refused("did not answer within")
    child = Path(f"/proc/{started.read_text().strip()}/stat")
    until = time.monotonic() + 10  # the kernel ends a killed process a moment later
    while is_at_work(child) and time.monotonic() < until:
        time.sleep(0.01)
    assert not is_at_work(child)


def is_at_work(process: Path) -> bool:
    """Whether its file below /proc is that of a process that has not ended."""
    try:
        return process.read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def test_a_program_may_ask_for_a_code_at_the_terminal(aws: Path) -> None:
    program, config = aws / "print-key", aws / "with-program"
    printed = {"Version": 1, "AccessKeyId": KEY, "SecretAccessKey": SECRET}
    program.write_text(
        "#!/bin/sh\nprintf 'code? ' > /dev/tty\nread code < /dev/tty\n"
        f"[ \"$code\" = 1234 ] && echo '{json.dumps(printed)}'\n"
    )
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    config.write_text(f"[default]\ncredential_process = {program}\n")
    ask = (
        "from fintts_store.backends.s3.credentials.session import open_session\n"
        "print(open_session().get_credentials().method, input('and? '))\n"
    )
    environment = {**os.environ, "AWS_CONFIG_FILE": str(config)}
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
        environment.pop(name, None)
    code, shown = at_a_terminal(
        [sys.executable, "-c", ask], b"1234\nback\n", after="code?", environment=environment
    )
    assert code == 0, shown
    assert "custom-process back" in shown, "the terminal is ours again"


def test_a_key_that_is_renewed_too_late_is_a_sentence(
    aws: Path, profiles: Callable[..., None]
) -> None:
    """The program prints one that ends soon, and when it is asked again one that has ended."""
    soon = f"{datetime.now(UTC) + timedelta(minutes=5):%Y-%m-%dT%H:%M:%SZ}"
    program, count = aws / "print-key", aws / "count"
    program.write_text(
        f"""#!{sys.executable} -S
with open({str(count)!r}, "a+") as file:
    file.write("x")
    file.seek(0)
    ends = {soon!r} if len(file.read()) < 3 else "2001-01-01T00:00:00Z"
print({json.dumps(PRINTED | {"Expiration": "ENDS"})!r}.replace("ENDS", ends))
"""
    )
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    profiles(f"[default]\ncredential_process = {program}\n")
    with pytest.raises(StoreDenied, match="still expired") as caught:
        S3Store(NOWHERE).get("a")
    assert len(count.read_text()) >= 3
    assert "sign in again" in caught.value.hint
    shows_nothing(caught.value.message)


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("/no/such/program", "program. cannot be run"),
        (f"'/no/such {SECRET}", "the AWS settings"),
        ("", "is empty"),
    ],
)
def test_a_program_that_is_none_is_a_sentence(
    command: str, said: str, profiles: Callable[..., None]
) -> None:
    profiles(f"[default]\ncredential_process = {command}\n")
    refused(said)


# --- what a server answers ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "code"),
    [
        *((403, "AccessDenied"), (403, "InvalidAccessKeyId"), (403, "SignatureDoesNotMatch")),
        *((400, "ExpiredToken"), (403, "RequestTimeTooSkewed"), (404, "NoSuchBucket")),
        *((400, "AuthorizationHeaderMalformed"), (503, "SlowDown"), (500, "InternalError")),
        *((507, "XMinioStorageFull"), (400, f"Odd{KEY}"), (418, SECRET)),
    ],
)
def test_no_answer_of_a_server_makes_a_secret_be_said(
    status: int, code: str, moto_endpoint: str, aws: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_SESSION_TOKEN", TOKEN)
    address = make_bucket(moto_endpoint, "planted")
    with fault_proxy(moto_endpoint) as proxy:
        proxy.faults.append(Fault("answer", "PUT", "/a", times=100, status=status, code=code))
        with pytest.raises(StoreError) as caught:
            open_store(at_endpoint(f"s3://{address.bucket}/x", proxy.url)).put("a", b"x")
    shows_nothing(caught.value.message, caught.value.hint)
