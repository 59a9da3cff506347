from clew.core.scopes import RUN
from clew.core.tasks import Instance, Task


def test_an_instance_chain_names_what_is_around():
    run = Instance(RUN, None, {})
    owner = Task("0", (), (), run, run)
    inner = Instance("b", owner, run.chain)
    assert run.spawned
    assert not inner.spawned
    assert inner.chain == {RUN: run, "b": inner}
    assert (run.depth, inner.depth) == (0, 0)


def test_an_arm_is_the_place_in_the_position():
    run = Instance(RUN, None, {})
    child = Task("0.2", (2,), ("0",), run, run)
    grandchild = Task("0.2.1", (2, 1), ("0", "0.2"), run, run)
    inner = Instance("b", child, run.chain)
    assert (grandchild.arm(run), grandchild.arm(inner)) == (2, 1)
    assert grandchild.lineage == ("0", "0.2", "0.2.1")


def test_a_view_is_plain_and_has_no_links():
    run = Instance(RUN, None, {})
    view = Task("0", (), (), run, run).view()
    assert view["id"] == "0"
    assert view["state"] == "queued"
    assert view["waits"] == []
    assert view["within"] is RUN
    assert not {"home", "counted"} & set(view)
