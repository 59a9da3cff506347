from clew.cli.lanes import Lanes, nested, parent_of


def test_parents():
    assert [parent_of(t) for t in ("0", "0.2", "0.2.1", "0~join", "0~join.3", "0.1~m")] == [
        ("", ""), ("0", "."), ("0.2", "."), ("0", "~"), ("0~join", "."), ("0.1", "~"),
    ]  # fmt: skip


def test_items_share_a_lane_and_a_merge_stands_where_its_owner_stood():
    lanes = Lanes()
    assert lanes.enter("0", "start") == ()
    assert lanes.enter("0", "parts") == ()
    assert lanes.enter("0.0", "work") == ("parts",)
    assert lanes.enter("0.1", "work") == ("parts",)
    assert lanes.enter("0.1", "more") == ("parts",)
    assert lanes.enter("0.1.0", "deep") == ("parts", "more")
    assert lanes.enter("0~join", "join") == ()
    assert lanes.enter("0~join.0", "arm") == ("join",)


def test_a_task_keeps_its_lane():
    lanes = Lanes()
    lanes.enter("0", "a")
    lanes.enter("0.0", "x")
    lanes.enter("0", "b")
    assert lanes.enter("0.0", "y") == ("a",)


def test_a_drawing_follows_fan_outs_inwards():
    keys = [
        ((), "start"),
        ((), "parts"),
        (("parts",), "work"),
        (("parts", "work"), "deep"),
        ((), "join"),
        (("gone",), "lost"),
    ]
    assert [(depth, key[1]) for depth, key in nested(keys)] == [
        (0, "start"), (0, "parts"), (1, "work"), (2, "deep"), (0, "join"), (1, "lost"),
    ]  # fmt: skip
