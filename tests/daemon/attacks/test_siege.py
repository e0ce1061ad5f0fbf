"""While one local user attacks each limit, another signs in, verifies, follows changes and uses a legacy secret.

HEROD_SIEGE seconds for each attack (1; 30 under `make soak`). The suite counts who is served; `make soak` measures too.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Final

import pytest

from support.siege import ATTACKS, besiege, besieged, describe
from support.soak_rounds import count

SECONDS = count("SIEGE")
IS_LONG = SECONDS >= 30

# Attacks of which none weakens the next one, by locking the attacker where that one begins: they share a daemon.
SHORT: Final = (
    ("validate guesses", "registrations", "random logins", "random logins of many uids", "wrong passwords"),
    ("legacy secrets", "denials", "codes", "feed places", "connections", "unread answers"),
)


@pytest.mark.parametrize("attacks", [(name,) for name in ATTACKS] if IS_LONG else SHORT, ids=", ".join)
def test_others_are_served(attacks: Sequence[str], say: Callable[[str], None]) -> None:
    """At least 99 of 100 of the other user's requests of each kind succeed."""
    with besieged() as at:
        for attack in attacks:
            outcomes = besiege(at, attack, SECONDS)
            say(describe(attack, outcomes))
            for kind, outcome in outcomes.items():
                is_served = outcome.served >= 0.99 * len(outcome.statuses) > 0
                assert is_served, f"{attack}: {kind}: {Counter(outcome.statuses)}"
                if IS_LONG:  # shorter ones measure what else the machine does
                    assert outcome.p99 < 1, f"{attack}: {kind}: {outcome.p99:.3f} s"


def test_no_attack_is_forgotten() -> None:
    """The suite tries every attack that `make soak` tries, except none at all."""
    assert {name for attacks in SHORT for name in attacks} == set(ATTACKS) - {"nothing"}
