"""One place has one address, two places have two, and what could be read in two ways is refused."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fintts_store.backends.s3.addresses.address import S3Address
from fintts_store.backends.s3.addresses.configured import configured_endpoint
from fintts_store.backends.s3.addresses.endpoint import canonical_endpoint
from fintts_store.backends.s3.s3 import S3Store
from fintts_store.errors import StoreDenied, StoreError
from fintts_store.opening import at_endpoint, is_same_place, open_store
from s3_servers import make_bucket

AT = "?endpoint_url="


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("s3://bucket", "s3://bucket/"),
        ("s3://bucket/exp", "s3://bucket/exp/"),
        ("s3://bucket/exp", "s3://bucket/exp?"),
        ("s3://bucket/exp", "s3://bucket/exp?addressing=path&region=eu-west-1"),
        (f"s3://bucket{AT}http://HOST:80/", f"s3://bucket{AT}http%3A%2F%2Fhost"),
        (f"s3://bucket{AT}https://host:443", f"s3://bucket{AT}HTTPS://host&addressing=virtual"),
        (f"s3://bucket{AT}http://[::1]:9000", f"s3://bucket{AT}http://[0:0:0:0:0:0:0:1]:9000/"),
        (f"s3://bucket{AT}https://s3.eu-west-1.amazonaws.com", "s3://bucket"),
        (f"s3://bucket{AT}https://s3.amazonaws.com", "s3://bucket"),
        ("/srv/voices", "/srv/voices/"),
        ("/srv/voices", "//srv/./voices"),
        ("/srv/voices", "/srv/other/../voices"),
    ],
)
def test_one_place_is_one_however_it_is_written(one: str, other: str) -> None:
    assert is_same_place(one, other)
    assert is_same_place(other, one)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("s3://bucket/exp#1", "s3://bucket/exp#2"),
        ("s3://bucket/exp#1", "s3://bucket/exp"),
        ("s3://bucket/exp", "s3://bucket/expo"),
        ("s3://bucket/exp", "s3://bucket/EXP"),
        ("s3://bucket/a b", "s3://bucket/a+b"),
        ("s3://bucket/exp", f"s3://bucket/exp{AT}http://host"),
        (f"s3://bucket{AT}http://host", f"s3://bucket{AT}https://host"),
        (f"s3://bucket{AT}http://host", f"s3://bucket{AT}http://host:9000"),
        (f"s3://bucket{AT}http://host/a", f"s3://bucket{AT}http://host/b"),
        ("s3://bucket/exp", "/bucket/exp"),
        ("/srv/voices", "/srv/Voices"),
    ],
)
def test_two_places_are_two(one: str, other: str) -> None:
    assert not is_same_place(one, other)


def test_a_folder_behind_a_link_is_the_same_place(tmp_path: Path) -> None:
    (tmp_path / "disk" / "inner").mkdir(parents=True)
    (tmp_path / "link").symlink_to(tmp_path / "disk" / "inner")
    assert is_same_place(str(tmp_path / "link"), str(tmp_path / "disk" / "inner"))
    assert open_store(f"{tmp_path}/link/../x").url == str(tmp_path / "disk" / "x")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "is empty"),
        (" ", "a space around it"),
        (" s3://bucket", "a space around it"),
        ("s3://bucket/exp ", "a space around it"),
        ("s3://bucket/exp\n", "a space around it"),
        ("s3://buc\tket/exp", "invisible"),
        ("s3://bucket/e\x00xp", "invisible"),
        ("s3://bucket/exp\u200b", "invisible"),
        ("/srv/voices\n", "a space around it"),
        ("/srv/vo\x1bices", "invisible"),
        ("/srv/\udcff", "invisible"),
        ("s3://bucket/exp#1", "'#'"),
        (f"s3://bucket/exp#1{AT}http://host", "'#'"),
        ("s3://bucket/a%20b", "'%'"),
        ("s3://bucket/a%2F..", "'%'"),
        ("s3://bucket/ka\u0308vely", "NFD"),
        ("s3://bucket/a\u00a0b", "misleading"),
        ("s3://bucket/a\\b", "backslash"),
        ("s3://bucket/a /b", "starts or ends with a space"),
        ("s3://bucket/exp&region=garage", "has &region=, which looks like an option"),
        ("s3://bucket/exp;endpoint_url=http://a", "has ;endpoint_url=, which"),
        ("s3://bucket//", "an empty part"),
        ("s3://bucket/exp//", "an empty part"),
        ("s3://bucket//exp", "an empty part"),
        ("s3://bucket/./exp", "has an empty part, '.'"),
        ("s3://bucket/..", "'..'"),
        ("s3://Bucket/exp", "upper-case"),
        ("s3://bucket:9000/exp", "the address of a server"),
        ("s3://127.0.0.1/bucket", "the address of a server"),
        ("s3://buc..ket", "names no bucket: buc..ket is not .* two dots in a row"),
        ("s3://key:sec/ret@bucket/exp", "contains credentials"),
        ("s3://bucket?region=a&region=b", "region twice|option twice"),
        (f"s3://bucket{AT}http://a&endpoint_url=http://b", "option twice"),
        ("s3://bucket?region", "cannot be read"),
        ("s3://bucket?region=a&&addressing=path", "cannot be read"),
        ("s3://bucket?endpoint_url=%ff", "cannot be read"),
        ("s3://bucket?region=", "without a value"),
        ("s3://bucket?region=eu%0Awest", "invalid region"),
        ("s3://bucket?Region=eu-west-1", "unknown option Region"),
        ("S3://bucket", "not the address of a supported store"),
        ("file:///srv/voices", "not the address of a supported store"),
        ("x://voices", "not the address of a supported store"),
        ("C:\\voices", "Windows path"),
        ("c:/voices", "Windows path"),
        ("\\\\server\\voices", "Windows path"),
        ("~nobody-of-that-name/voices", "no home folder"),
    ],
)
def test_what_could_mean_another_place_is_refused_in_a_sentence(text: str, said: str) -> None:
    with pytest.raises(StoreDenied, match=said) as caught:
        open_store(text)
    assert caught.value.hint
    assert "sec/ret" not in caught.value.message + caught.value.hint


@pytest.mark.parametrize(
    "text",
    [
        *("", "http://", "http://[::1", "ftp://x", "http://h:99999", "http://h:0", "http://h:x"),
        *("localhost:9000", "//host", "https://h?x=1", "https://h#f", "https://h/a/../b"),
        *("https://h//a", "http://h\n", " http://h", "http://127.1", "http://2130706433"),
        *("http://0x7f.0.0.1", "http://a_b", "http://h.", "http://-h", "http://bücher.example"),
        *("http://[fe80::1%25eth0]", "http://h:\u0661"),
    ],
)
def test_what_is_no_endpoint_is_refused_in_a_sentence(text: str) -> None:
    attempts: list[Callable[[], object]] = [
        lambda: canonical_endpoint(text),
        lambda: at_endpoint("s3://bucket", text),
        lambda: at_endpoint("/a/folder", text),
    ]
    for attempt in attempts:
        with pytest.raises(StoreDenied, match="is not the URL of a server") as caught:
            attempt()
        assert caught.value.hint


@given(st.text(st.sampled_from("s3:/bucket.-?#%&=@ \\~A\u0308é\n[]"), max_size=24))
def test_whatever_is_typed_has_one_form_or_is_refused(text: str) -> None:
    for typed in (text, f"s3://bucket/{text}", f"s3://bucket{AT}{text}"):
        try:
            url = at_endpoint(typed, None)
        except StoreError:
            continue
        assert at_endpoint(url, None) == url
        assert open_store(url).url == url
        assert is_same_place(typed, url)


# --- what AWS's own settings add ------------------------------------------------------------------


@pytest.fixture
def aws(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """AWS's settings of nobody; returns the file of profiles, which is not there."""
    for name in ("AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    return tmp_path / "config"


BY_PROFILE = "[default]\nendpoint_url = http://Minio:80/\n"
BY_SERVICE = "[default]\nservices = mine\n[services mine]\ns3 =\n  endpoint_url = http://minio/\n"


@pytest.mark.parametrize(
    ("variables", "profiles"),
    [
        ({"AWS_ENDPOINT_URL": "http://minio"}, ""),
        ({"AWS_ENDPOINT_URL_S3": "http://minio:80", "AWS_ENDPOINT_URL": "http://other"}, ""),
        ({"AWS_ENDPOINT_URL": "http://minio"}, "[default]\nendpoint_url = http://other\n"),
        ({}, BY_PROFILE),
        ({}, BY_SERVICE),
        ({"AWS_PROFILE": "b"}, BY_SERVICE.replace("[default]", "[profile b]")),
    ],
)
def test_the_server_that_aws_s_settings_name_becomes_part_of_the_address(
    variables: dict[str, str], profiles: str, aws: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    aws.write_text(profiles)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert at_endpoint("s3://bucket/exp", None) == f"s3://bucket/exp{AT}http%3A%2F%2Fminio"
    assert at_endpoint("/a/folder", None) == "/a/folder"


def test_what_is_said_of_the_store_counts_more(aws: Path) -> None:
    aws.write_text(BY_PROFILE)
    named = f"s3://bucket{AT}https%3A%2F%2Fhost"
    assert at_endpoint(named, None) == named
    assert at_endpoint("s3://bucket", "https://host") == named
    assert at_endpoint(named, "https://HOST:443/") == named
    assert at_endpoint(f"s3://bucket{AT}https://s3.amazonaws.com", None) == "s3://bucket"
    with pytest.raises(StoreDenied, match="its address names another server"):
        at_endpoint(named, "https://other")


def test_settings_that_are_to_be_ignored_are(aws: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://minio")
    monkeypatch.setenv("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "true")
    assert configured_endpoint() is None


@pytest.mark.parametrize("url", ["localhost:9000", "http://", "http://me:hidden@host", "ftp://x"])
def test_a_malformed_one_says_where_it_stands(
    url: str, aws: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", url)
    with pytest.raises(StoreDenied, match="AWS_ENDPOINT_URL_S3") as caught:
        at_endpoint("s3://bucket", None)
    assert "hidden" not in caught.value.message


def test_an_address_is_reached_where_it_says_whatever_the_settings(
    moto_endpoint: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = S3Store(make_bucket(moto_endpoint, "says-where"))
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    store.put("a", b"x")
    assert open_store(store.url).get("a") == b"x"
    elsewhere = S3Store(S3Address("says-where"))._requests.client
    assert "amazonaws.com" in elsewhere.meta.endpoint_url
