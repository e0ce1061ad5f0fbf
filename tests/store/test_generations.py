"""Descent of stores: a restore may treat missing records as deleted only in a store that descends from the other."""

from herod.store.integrity_head import MAX_ANCESTORS, StoreHead


def head(generation: str, rev: int, **ancestors: int) -> StoreHead:
    """A store's head."""
    return StoreHead(generation=generation, created_at=0, rev=rev, ancestors=ancestors)


def test_one_generation_goes_by_its_revisions() -> None:
    """A store descends from its earlier revisions, not from later ones."""
    assert head("a", 9).descends_from(head("a", 9))
    assert not head("a", 8).descends_from(head("a", 9))


def test_a_new_generation_descends_from_what_it_took_over() -> None:
    """A restored store descends from its backup at that revision, and from the store that it replaced."""
    backup, present = head("a", 5), head("a", 9)
    written = head("a", 50)
    alone, over = written.begin("b", backup), written.begin("c", backup, present)
    assert alone.descends_from(backup)
    assert not alone.descends_from(present)
    assert over.descends_from(present)
    assert (alone.rev, over.rev) == (50, 50)
    assert not backup.descends_from(alone)
    assert alone.begin("d", alone).descends_from(backup)
    assert not over.begin("d", over).descends_from(alone)


def test_a_store_of_the_version_before_goes_by_its_revisions() -> None:
    """A store of the previous version has no ancestors, so revisions decide."""
    assert head("b", 9).descends_from(head("a", 9))
    assert not head("b", 8).descends_from(head("a", 9))


def test_ancestors_are_bounded() -> None:
    """The latest ancestors are kept, up to a bound."""
    store = head("g0", 0)
    for number in range(1, 3 * MAX_ANCESTORS):
        store = store.begin(f"g{number}", store)
    assert len(store.ancestors) == MAX_ANCESTORS
    assert store.descends_from(head(f"g{3 * MAX_ANCESTORS - 2}", 0))
    assert not store.descends_from(head("g0", 0))
