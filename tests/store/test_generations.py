"""Which store has gone on from which: a restore may believe what is missing only in a store that has."""

from herod.store.integrity_head import MAX_ANCESTORS, StoreHead


def head(generation: str, rev: int, **ancestors: int) -> StoreHead:
    """A store's head."""
    return StoreHead(generation=generation, created_at=0, rev=rev, ancestors=ancestors)


def test_one_generation_goes_by_its_revisions() -> None:
    """It descends from what it was, and not from what it was to become."""
    assert head("a", 9).descends_from(head("a", 9))
    assert not head("a", 8).descends_from(head("a", 9))


def test_a_new_generation_descends_from_what_it_took_over() -> None:
    """From its backup as it was then, whatever the restore has written since, and from the store that it replaced."""
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
    """It noted no ancestors."""
    assert head("b", 9).descends_from(head("a", 9))
    assert not head("b", 8).descends_from(head("a", 9))


def test_ancestors_are_bounded() -> None:
    """The latest are kept."""
    store = head("g0", 0)
    for number in range(1, 3 * MAX_ANCESTORS):
        store = store.begin(f"g{number}", store)
    assert len(store.ancestors) == MAX_ANCESTORS
    assert store.descends_from(head(f"g{3 * MAX_ANCESTORS - 2}", 0))
    assert not store.descends_from(head("g0", 0))
