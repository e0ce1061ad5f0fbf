"""Objects with a name twice, for every reader of JSON that refuses them."""

import json

import pytest

from herod_client.core.repeated_names import RepeatedNameError, check_names


@pytest.mark.parametrize(
    ("text", "name"),
    [('{"a":1,"a":1}', "a"), ('{"a":1,"\\u0061":2}', "a"), ('{"x":[{"b":1,"c":2,"b":3}]}', "b"), ('{"":1,"":2}', "")],
)
def test_a_repeated_name_is_named(text: str, name: str) -> None:
    """At any depth and however it is escaped, the first name that occurs twice is the error's message."""
    with pytest.raises(RepeatedNameError) as caught:
        json.loads(text, object_pairs_hook=check_names)
    assert str(caught.value) == name


def test_other_objects_are_as_ever() -> None:
    """One name in several objects is no repetition."""
    text = '[{"a":{"a":1}},{"a":2,"A":3},{}]'
    assert json.loads(text, object_pairs_hook=check_names) == json.loads(text)
