"""Addresses of stores: what is refused, and what is inside of what."""

import pytest

from topology.claim_stores import bucket_of, folder_of, is_allowed, is_inside, problem_of

STORES = ("file:///data/claims", "s3://bucket/a")


@pytest.mark.parametrize(
    "address", ["file:///data/claims", "file:///data/claims/", "s3://bucket", "s3://my.bucket-1/a/b"]
)
def test_addresses_of_stores(address: str) -> None:
    assert problem_of(address) is None


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("/data/claims", "neither file"),
        ("http://host/claims", "neither file"),
        ("file://host/data", "names a host"),
        ("file://localhost/data", "names a host"),
        ("file:///", "no folder"),
        ("file:data", "neither"),
        ("file:///data/../etc", r"`\.\.`"),
        ("file:///data//x", "empty part"),
        ("file:///data/%2e%2e/x", "characters"),
        ("file:///data/a b", "characters"),
        ("file:///data/x?y", "query"),
        ("file:///data/x#y", "fragment"),
        ("s3:///key", "no bucket"),
        ("s3://Bucket_/key", "no bucket"),
        ("s3://user@bucket/key", "no bucket"),
        ("s3://[x/key", "no URL"),
    ],
)
def test_what_is_no_address_says_why(address: str, said: str) -> None:
    import re

    assert re.search(said, problem_of(address) or "")


@pytest.mark.parametrize("uri", ["file:///data/claims/x", "file:///data/claims/a/x", "s3://bucket/a/x"])
def test_inside(uri: str) -> None:
    assert is_inside(uri, STORES)


@pytest.mark.parametrize(
    "uri",
    [
        "file:///data/claims",
        "file:///data/claimsx/y",
        "file:///data/other/x",
        "file:///data/claims/../x",
        "file:///data/claims/%2e%2e/x",
        "file://host/data/claims/x",
        "s3://bucket/ab/x",
        "s3://other/a/x",
        "S3://bucket/a/x",
    ],
)
def test_outside(uri: str) -> None:
    assert not is_inside(uri, STORES)


def test_a_folder_of_a_store_is_allowed_its_parent_is_not() -> None:
    assert is_allowed("file:///data/claims/", STORES)
    assert is_allowed("file:///data/claims/team", STORES)
    assert not is_allowed("file:///data", STORES)
    assert not is_allowed("file:///data/claims/x", [])


def test_parts() -> None:
    assert str(folder_of("file:///data/claims/")) == "/data/claims"
    assert bucket_of("s3://bucket/a/b/") == ("bucket", "a/b")
    assert bucket_of("s3://bucket") == ("bucket", "")
