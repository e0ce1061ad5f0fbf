"""Places that are held for a while: a newcomer takes one from the largest share, at each step of the path."""

from contextlib import ExitStack

import pytest

from herod.throttle.fair_places import FairPlaces, Place


def held(places: FairPlaces, stack: ExitStack, *paths: tuple[str, str]) -> list[Place | None]:
    """Hold a place for each path."""
    return [stack.enter_context(places.hold(*path)) for path in paths]


def lost(places: list[Place | None]) -> list[int]:
    """Which of them were taken."""
    return [number for number, place in enumerate(places) if place is not None and place.scope.cancel_called]


async def test_a_place_is_given_back() -> None:
    """The end of the block frees the place."""
    places = FairPlaces(1, 1, 1)
    with places.hold("a", "x") as place:
        assert place is not None
        assert len(places) == 1
        with places.hold("b", "y") as second:
            assert second is None
    assert len(places) == 0
    with places.hold("b", "y") as second:
        assert second is not None


@pytest.mark.parametrize(
    ("paths", "newcomer", "taken"),
    [
        pytest.param([("a", "x")] * 4, ("b", "y"), [0], id="the longest held of the largest share"),
        pytest.param([("a", "x"), ("a", "z"), ("a", "z"), ("b", "y")], ("c", "y"), [1], id="the largest within it"),
        pytest.param([("a", "x"), ("a", "x"), ("b", "y"), ("b", "y")], ("c", "z"), [0], id="one of the largest"),
        pytest.param([("a", "x")] * 3 + [("b", "y")], ("b", "y"), [0], id="the largest, by two"),
        pytest.param([("a", "x")] * 2 + [("b", "y")] * 2, ("b", "y"), None, id="would hold more"),
        pytest.param([("a", "x"), ("b", "x"), ("c", "x"), ("d", "x")], ("e", "x"), None, id="all equal"),
        pytest.param([("a", "x")] * 4, ("a", "x"), None, id="the largest itself"),
        pytest.param([("a", "x")] * 4, ("a", "y"), [0], id="another of the same share"),
    ],
)
async def test_whose_place_is_taken(
    paths: list[tuple[str, str]], newcomer: tuple[str, str], taken: list[int] | None
) -> None:
    """A newcomer gets a place if somebody holds more than it would then hold."""
    places = FairPlaces(4, 4, 4)
    with ExitStack() as stack:
        before = held(places, stack, *paths)
        assert places.has_room(*newcomer) == (taken is not None)
        assert not lost(before)
        (place,) = held(places, stack, newcomer)
        assert (place is None) == (taken is None)
        assert lost(before) == (taken or [])
        assert len(places) == 4
    assert len(places) == 0


async def test_a_limit_of_one_step_takes_from_that_step() -> None:
    """Where the limit of one source is reached, only its own places are taken."""
    places = FairPlaces(100, 3, 2)
    with ExitStack() as stack:
        others = [stack.enter_context(places.hold("b", f"y{number % 20}")) for number in range(40)]
        own = [stack.enter_context(places.hold("a", name)) for name in ("x", "x", "z")]
        assert stack.enter_context(places.hold("a", "x")) is None
        assert stack.enter_context(places.hold("a", "w")) is not None
        assert lost(own) == [0]
        assert lost(others) == []
