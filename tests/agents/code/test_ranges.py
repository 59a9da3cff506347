import pytest

from clew.agents.code.ranges import packed, unpacked


@pytest.mark.parametrize(
    ("numbers", "text"), [([], ""), ([3], "3"), ([2, 0, 1, 5], "0-2,5"), ([1, 1, 2], "1-2"), ([0, 2, 4], "0,2,4")]
)
def test_round_trip(numbers, text):
    assert packed(numbers) == text
    assert unpacked(text) == sorted(set(numbers))


def test_anything_else_is_refused():
    with pytest.raises(ValueError):
        unpacked("a-b")
