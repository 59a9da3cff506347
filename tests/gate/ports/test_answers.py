import msgspec
import pytest

from clew.gate.ports.answers import Recorded


def test_where_an_answer_stands_says_all_of_it():
    fields = {"run": "r", "seq": 3, "key": "0/a#1/t1", "by": "main/small", "plan": "p"}
    assert msgspec.to_builtins(Recorded(**fields)) == fields
    with pytest.raises(TypeError):
        Recorded(run="r", seq=3)  # type: ignore[call-arg]
