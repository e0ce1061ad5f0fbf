"""The last uses of sessions."""

from herod.identity.people.session_activity import MAX_SESSIONS, SessionActivity


def idle(activity: SessionActivity, id: str, now: int, created_at: int = 100) -> bool:
    """Whether a session is idle by a limit of ten seconds."""
    return activity.is_idle(id, created_at=created_at, now=now, limit=10)


def test_idle() -> None:
    """A session is idle when its last use, its sign-in and the process's start are all longer ago than the limit."""
    activity = SessionActivity(started_at=50)
    assert [idle(activity, "a", now) for now in (100, 110, 111)] == [False, False, True]
    activity.note("a", 120)
    assert [idle(activity, "a", now) for now in (90, 130, 131)] == [False, False, True]
    assert idle(activity, "b", 130)
    assert not idle(SessionActivity(started_at=125), "b", 130)


def test_forget() -> None:
    """Old uses are forgotten, and what is forgotten stays idle."""
    activity = SessionActivity(started_at=50)
    activity.note("a", 120)
    activity.note("b", 200)
    activity.forget(150)
    assert idle(activity, "a", 205)
    assert not idle(activity, "b", 205)


def test_bounded() -> None:
    """Of more sessions than are remembered, the one that was not used for the longest counts as never used."""
    activity = SessionActivity(started_at=50)
    activity.note("a", 120)
    activity.note("b", 120)
    activity.note("a", 121)
    for number in range(MAX_SESSIONS - 1):
        activity.note(str(number), 122)
    assert idle(activity, "b", 122)
    assert not idle(activity, "a", 122)
