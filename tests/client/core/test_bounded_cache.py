"""A cache bounded in entries and bytes: what it keeps, evicts and counts."""

from herod_client.core.bounded_cache import BoundedCache


def cache_of(entries: int = 100, total: int = 10_000) -> BoundedCache[str, bytes]:
    """A cache of bytes that are counted by their length."""
    return BoundedCache(entries=entries, total=total, size=lambda _, value: len(value))


def kept_bytes(cache: BoundedCache[str, bytes], keys: list[str]) -> int:
    """The cached bytes of these keys; lookups promote entries, so the cache must not be used afterwards."""
    return sum(len(value) for key in keys if (value := cache.get(key)) is not None)


def test_bounded_in_number() -> None:
    """The number of entries stays within its bound, and the newest is kept."""
    cache = cache_of(entries=10)
    for number in range(1000):
        cache.keep(str(number), b"x")
        assert len(cache) <= 10
        assert cache.get(str(number)) == b"x"


def test_bounded_in_bytes() -> None:
    """The total size of the values stays within its bound."""
    cache = cache_of(total=10_000)
    keys = [str(number) for number in range(50)]
    for key in keys:
        cache.keep(key, b"x" * 900)
    assert 5000 < kept_bytes(cache, keys) <= 10_000


def test_too_large_for_it() -> None:
    """A value of over half the total size is not kept, evicts nothing, and removes an older value of its key."""
    cache = cache_of(total=10_000)
    cache.keep("small", b"x")
    cache.keep("grows", b"old")
    cache.keep("grows", b"x" * 5001)
    assert cache.get("grows") is None
    assert cache.get("small") == b"x"


def test_what_is_used_stays() -> None:
    """A value in use is kept while others come and go, by number and by bytes."""
    cache = cache_of(entries=10, total=1000)
    cache.keep("used", b"x")
    for number in range(1000):
        cache.keep(str(number), b"x" * (number % 300))
        assert cache.get("used") == b"x"


def test_forgetting() -> None:
    """Forgetting a key removes it from both generations, and clearing removes everything."""
    for others in range(12):
        cache = cache_of(entries=10)
        cache.keep("a", b"x")
        for number in range(others):
            cache.keep(str(number), b"x")
        cache.keep("a", b"y")
        cache.forget("a")
        assert cache.get("a") is None
    cache.clear()
    assert len(cache) == 0
