"""While one local user attacks each limit, another signs in, verifies, follows changes and uses a legacy secret.

HEROD_SIEGE seconds for each attack (2; 30 under `make soak`). The suite counts who is served; `make soak` measures too.
"""

from collections import Counter
from collections.abc import Callable

import pytest

from support.siege import ATTACKS, besiege, besieged, describe
from support.soak_rounds import count

SECONDS = count("SIEGE")


@pytest.mark.parametrize("attack", list(ATTACKS))
def test_others_are_served(attack: str, say: Callable[[str], None]) -> None:
    """At least 99 of 100 of the other user's requests of each kind succeed."""
    with besieged() as at:
        outcomes = besiege(at, attack, SECONDS)
    say(describe(attack, outcomes))
    for kind, outcome in outcomes.items():
        assert outcome.served >= 0.99 * len(outcome.statuses) > 0, f"{kind}: {Counter(outcome.statuses)}"
        if SECONDS >= 30:  # shorter ones measure what else the machine does
            assert outcome.p99 < 1, f"{kind}: {outcome.p99:.3f} s"
