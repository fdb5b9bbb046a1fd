"""A cache has an end, and what is in it can be replaced."""

from septet.bounded_cache import BoundedCache


def test_a_full_cache_is_emptied_by_the_next_key() -> None:
    cache = BoundedCache[str, int](2)
    for at, key in enumerate("abc"):
        cache.keep(key, at)
    assert cache == {"c": 2}


def test_an_entry_of_a_full_cache_is_replaced_alone() -> None:
    cache = BoundedCache[str, int](2)
    for at, key in enumerate("aba"):
        cache.keep(key, at)
    assert cache == {"a": 2, "b": 1}
