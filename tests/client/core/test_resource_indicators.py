"""Which texts can be a resource, and which audience is meant for which resource."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from herod_client.core.errors import InvalidRequest
from herod_client.core.resource_indicators import (
    MAX_RESOURCE_CHARS,
    check_required_resource,
    is_meant_for,
    is_resource,
)

SITE = "https://jobs.example.org"


@pytest.mark.parametrize(
    ("audience", "resource"),
    [
        (SITE, SITE),
        (f"{SITE}/", SITE),
        (SITE, f"{SITE}/"),
        (f"{SITE}/mcp", SITE),
        (f"{SITE}/mcp/", f"{SITE}/"),
        (f"{SITE}/a/b/c", f"{SITE}/a"),
        (f"{SITE}/a/...", f"{SITE}/a"),
        (f"{SITE}/a/.well-known/x", f"{SITE}/a"),
        (f"{SITE}/a%20b/c", f"{SITE}/a%20b"),
        ("http://[::1]:3350/mcp", "http://[::1]:3350"),
        ("urn:example:jobs", "urn:example:jobs"),
        (f"{SITE}/a?tenant=1", f"{SITE}/a?tenant=1"),
        ("spiffe://example.org/jobs/1", "spiffe://example.org/jobs"),
    ],
)
def test_meant(audience: str, resource: str) -> None:
    """Equal, but for a final slash, or below by whole segments."""
    assert is_meant_for(audience, resource)


@pytest.mark.parametrize(
    ("audience", "resource"),
    [
        (SITE, f"{SITE}/mcp"),
        (f"{SITE}/apple", f"{SITE}/app"),
        (f"{SITE}.evil.example", SITE),
        (f"{SITE}:8443/x", SITE),
        (f"{SITE}@evil.example/x", SITE),
        ("http://jobs.example.org/x", SITE),
        ("https://JOBS.example.org", SITE),
        (f"{SITE}/a/../b", f"{SITE}/a"),
        (f"{SITE}/a/..", f"{SITE}/a"),
        (f"{SITE}/a/./b", f"{SITE}/a"),
        (f"{SITE}/a/%2e%2E/b", f"{SITE}/a"),
        (f"{SITE}/a/b%2Fc", f"{SITE}/a"),
        (f"{SITE}/a/b%5cc", f"{SITE}/a"),
        (f"{SITE}/a/..\\b", f"{SITE}/a"),
        (f"{SITE}/a/x?y", f"{SITE}/a"),
        (f"{SITE}/a/x#y", f"{SITE}/a"),
        (f"{SITE}/a?b/c", f"{SITE}/a?b"),
        ("https://evil.example/", "https://"),
        ("https://evil.example/", "https:/"),
        ("https://evil.example/", "https:"),
        ("urn:example:jobs/1", "urn:example:jobs"),
        (SITE, ""),
        ("", SITE),
        ("/x", ""),
        ("/x", "/"),
    ],
)
def test_not_meant(audience: str, resource: str) -> None:
    """Neither a sibling, nor another host, port or scheme, nor a path that may lead out of it."""
    assert not is_meant_for(audience, resource)


@given(st.lists(st.sampled_from(["a", "b", "ab", "..", ".", "", "%2e%2e", "a%2fb"]), max_size=4), st.integers(0, 4))
def test_below_is_below(segments: list[str], cut: int) -> None:
    """Whatever is said to lie below begins with the resource's own segments, and none of its own leads up."""
    audience = "/".join([SITE, *segments])
    resource = "/".join([SITE, *segments[:cut], *(["x"] if cut == 4 else [])])
    if is_meant_for(audience, resource) and audience.rstrip("/") != resource.rstrip("/"):
        rest = audience.removeprefix(resource.removesuffix("/"))
        assert rest.startswith("/")
        assert not {"..", ".", "%2e%2e", "a%2fb"} & set(rest.removesuffix("/").split("/"))


@pytest.mark.parametrize("text", ["", " ", "\t"])
def test_an_empty_requirement(text: str) -> None:
    """An empty or blank resource is refused, and the message says that it is empty."""
    with pytest.raises(InvalidRequest, match="is empty"):
        check_required_resource(text)


@pytest.mark.parametrize(
    "text",
    [
        *("jobs", "/jobs", "https://", f"{SITE}/#a", "x:" + "y" * MAX_RESOURCE_CHARS),
        *("http://[::1", "x://[0]", "x:[y]", "x:y%", "x:y%zz", f"{SITE}/a[b]"),
    ],
)
def test_no_resource(text: str) -> None:
    """What no token can be for is refused as a requirement."""
    assert not is_resource(text)
    with pytest.raises(InvalidRequest, match="absolute URI"):
        check_required_resource(text)
    check_required_resource(SITE)
