"""What all backends agree on; the whole of it is tested through them, in tests/contracts/context_log."""

import pytest

from clew.context.log.port import NO_BOUNDS, Bounds
from clew.context.log.rules import Kept, Standing, canonical, check_id, check_label, check_place, plan, ready
from clew.core.errors import NotFound, UsageError
from clew.gate.ports.context import Put, Remove, Version

AT = 1_732_272_000_000


class Present:
    """A log that holds a (live, version 3, place 10) and b (removed at version 2, place 9)."""

    head, live, size = 10, 1, 5

    def newest(self, name: str) -> Standing | None:
        known = {
            "a": Standing(Version(n=10, id="a", version=3, text="old", at=AT - 50), 5),
            "b": Standing(Version(n=9, id="b", version=2, deleted=True), 0),
        }
        return known.get(name)

    def oldest(self):
        yield Kept("a", AT - 50, 5)


def test_a_plan_has_what_is_to_be_appended() -> None:
    changes = [Put(id="b", text="x"), Put(id="a", text="old"), Put(id="a", text="new"), Remove(id="c")]
    planned = plan(ready(changes, NO_BOUNDS), AT, Present(), NO_BOUNDS)
    assert [(w.version.n, w.version.id, w.version.version, w.version.parent, w.size) for w in planned.written] == [
        (11, "b", 3, 2, 2), (12, "a", 4, 3, 4),
    ]  # fmt: skip
    assert [answer and answer.n for answer in planned.answers] == [11, None, 12, None]
    assert (planned.live, planned.size) == (2, 6)


@pytest.mark.parametrize("bounds", [Bounds(max_items=1), Bounds(max_size=6), Bounds(max_age=49)])
def test_a_plan_removes_the_oldest(bounds: Bounds) -> None:
    planned = plan(ready([Put(id="c", text="x")], bounds), AT, Present(), bounds)
    assert [(w.version.id, w.version.deleted, w.version.n) for w in planned.written] == [
        ("c", False, 11),
        ("a", True, 12),
    ]
    assert (planned.live, planned.size, planned.forgotten) == (1, 2, 1)


def test_equal_json_is_equal_text() -> None:
    assert canonical({"b": 1, "a": [True]}) == b'{"a":[true],"b":1}'
    assert canonical(1) != canonical(1.0) != canonical(True)


def test_places() -> None:
    check_place(0, 5, 3, labelled=False)
    check_place(3, 5, 3, labelled=False)
    check_place(2, 5, 3, labelled=True)
    for n in (2, 6):
        with pytest.raises(NotFound):
            check_place(n, 5, 3, labelled=False)


def test_names() -> None:
    check_id("docs/ü 1")
    check_label("before the release")
    with pytest.raises(UsageError):
        check_id("")
    with pytest.raises(UsageError):
        check_label("\n")
