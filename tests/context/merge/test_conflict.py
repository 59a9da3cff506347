"""A conflict is plain data: it can be shown, and sent to an agent, as JSON."""

import msgspec

from clew.context.merge.conflict import NOWHERE, Conflict, Lines


def test_a_conflict_is_json() -> None:
    conflict = Conflict(part="text", base="a\n", ours="b\n", theirs="", ours_lines=Lines(3, 1))
    assert msgspec.json.decode(msgspec.json.encode(conflict), type=Conflict) == conflict
    assert msgspec.to_builtins(conflict)["ours_lines"] == {"first": 3, "count": 1}
    assert conflict.base_lines == NOWHERE
