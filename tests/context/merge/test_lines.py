"""Three-way merge of text: cases by hand, and what holds for any three texts."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clew.context.merge import matching
from clew.context.merge.conflict import Conflict, Lines
from clew.context.merge.lines import Merged, merge_text

TEXTS = st.one_of(
    st.lists(st.sampled_from(["a", "b", "c", "", "d\r", "e\u2028f"]), max_size=7).map("\n".join),
    st.lists(st.sampled_from(["a", "b", "c", ""]), max_size=7).map(
        lambda lines: "".join(f"{line}\n" for line in lines)
    ),
)


@pytest.mark.parametrize(
    ("base", "ours", "theirs", "merged"),
    [
        ("", "", "", ""),
        ("a\nb\nc\n", "A\nb\nc\n", "a\nb\nC\n", "A\nb\nC\n"),
        ("a\nb\nc\n", "b\nc\n", "a\nb\n", "b\n"),  # each deletes a line
        ("a\nb\n", "x\na\nb\n", "a\nb\ny\n", "x\na\nb\ny\n"),
        ("a\nb\nc\n", "a\nX\nc\n", "a\nX\nc\n", "a\nX\nc\n"),  # both the same: no conflict
        ("a\n", "a\nsame\n", "a\nsame\n", "a\nsame\n"),
        ("a\nb\nc", "a\nb\nc\n", "A\nb\nc", "A\nb\nc\n"),  # a line feed added at the end
        ("a\nb\nc\n", "a\nb\nc", "A\nb\nc\n", "A\nb\nc"),
        ("a", "a", "a\n", "a\n"),
        ("a\n", "a", "a\n\n", "a\n\n"),  # an empty line added wins over the line feed
        ("a\r\nb\r\nc\r\n", "A\r\nb\r\nc\r\n", "a\r\nb\r\nC\r\n", "A\r\nb\r\nC\r\n"),
        ("a\nb\n", "", "a\nb\n", ""),
        ("", "a\n", "", "a\n"),
    ],
)  # fmt: skip
def test_changes_that_go_together(base: str, ours: str, theirs: str, merged: str) -> None:
    assert merge_text(base, ours, theirs).text == merged == merge_text(base, theirs, ours).text
    assert merge_text(base, ours, theirs).conflicts == ()


def test_a_conflict_is_marked_and_reported() -> None:
    merged = merge_text("1\n2\n3\n4\n5", "1\ntwo\n3\n4\nfive", "0\n1\n2.0\n2.1\n3\n4\n5")
    assert merged.text == (
        "0\n1\n<<<<<<< ours\ntwo\n||||||| base\n2\n=======\n2.0\n2.1\n>>>>>>> theirs\n3\n4\nfive\n"
    )  # fmt: skip
    assert merged.conflicts == (
        Conflict(
            part="text", base="2\n", ours="two\n", theirs="2.0\n2.1\n", base_lines=Lines(2, 1), ours_lines=Lines(2, 1),
            theirs_lines=Lines(3, 2), merged_lines=Lines(3, 8),
        ),
    )  # fmt: skip
    block = merged.text.split("\n")[2:10]
    assert (block[0], block[-1]) == ("<<<<<<< ours", ">>>>>>> theirs")


def test_a_deletion_against_a_change_is_a_conflict() -> None:
    merged = merge_text("a\nb\n", "a\n", "a\nB\n")
    assert [(c.ours, c.theirs, c.ours_lines) for c in merged.conflicts] == [("", "B\n", Lines(2, 0))]
    assert merged.text == "a\n<<<<<<< ours\n||||||| base\nb\n=======\nB\n>>>>>>> theirs\n"


def test_both_wrote_from_nothing() -> None:
    merged = merge_text("", "mine", "theirs")
    assert merged.text == "<<<<<<< ours\nmine\n||||||| base\n=======\ntheirs\n>>>>>>> theirs\n"


def test_conflicts_that_are_settled() -> None:
    def resolve(conflict: Conflict) -> str | None:
        return {"x\n": "settled", "z\n": ""}.get(conflict.ours)

    base = "a\n1\nb\n2\nc\n3\n"
    merged = merge_text(base, "a\nx\nb\ny\nc\nz\n", "a\nX\nb\nY\nc\nZ\n", resolve)
    assert [c.ours for c in merged.conflicts] == ["y\n"]
    assert merged.text.startswith("a\nsettled\nb\n<<<<<<< ours\ny\n")
    assert merged.text.endswith(">>>>>>> theirs\nc\n")
    assert merge_text(base, base.replace("2", "y"), base.replace("2", "Y"), lambda _: "both\nlines").text == (
        "a\n1\nb\nboth\nlines\nc\n3\n"
    )


@given(base=TEXTS, other=TEXTS)
@settings(max_examples=80, deadline=None)
def test_one_side_alone_is_taken_as_it_is(base: str, other: str) -> None:
    for merged in (merge_text(base, other, base), merge_text(base, base, other), merge_text(base, other, other)):
        assert (merged.text, merged.conflicts) == (other, ())


@given(base=TEXTS, ours=TEXTS, theirs=TEXTS)
@settings(max_examples=150, deadline=None)
def test_sides_can_be_exchanged(base: str, ours: str, theirs: str) -> None:
    one, two = merge_text(base, ours, theirs), merge_text(base, theirs, ours)
    assert [(c.base, c.ours, c.theirs, c.ours_lines) for c in one.conflicts] == [
        (c.base, c.theirs, c.ours, c.theirs_lines) for c in two.conflicts
    ]
    if not one.conflicts:
        assert one.text == two.text


def lines(text: str) -> list[str]:
    return text.removesuffix("\n").split("\n") if text else []


@given(data=st.data(), base=TEXTS)
@settings(max_examples=150, deadline=None)
def test_no_line_that_was_added_is_lost(data: Any, base: str) -> None:
    """Each side adds lines that are its own, changes and deletes some: what it added stands in the result or in a conflict."""

    def edited(mark: str) -> str:
        out: list[str] = []
        for number, line in enumerate(lines(base)):
            match data.draw(st.sampled_from(["keep", "keep", "delete", "change", "insert"])):
                case "keep":
                    out.append(line)
                case "change":
                    out.append(f"{mark}{number}")
                case "insert":
                    out += [f"{mark}{number}", line]
        return "\n".join(out) + data.draw(st.sampled_from(["", "\n", f"\n{mark}end", f"\n{mark}end\n"]))

    ours, theirs = edited("<"), edited(">")
    merged = merge_text(base, ours, theirs)
    result = lines(merged.text)
    for side in (ours, theirs):
        for line in lines(side):
            if line[:1] in ("<", ">"):
                assert line in result
    for conflict in merged.conflicts:
        assert conflict.ours != conflict.theirs
        block = result[conflict.merged_lines.first - 1 :][: conflict.merged_lines.count]
        assert block[1:-1] == [
            *lines(conflict.ours),
            "||||||| base",
            *lines(conflict.base),
            "=======",
            *lines(conflict.theirs),
        ]
        for side, part, place in (
            (base, conflict.base, conflict.base_lines),
            (ours, conflict.ours, conflict.ours_lines),
            (theirs, conflict.theirs, conflict.theirs_lines),
        ):
            assert lines(side)[place.first - 1 :][: place.count] == lines(part)


@given(base=TEXTS, ours=TEXTS, theirs=TEXTS)
@settings(max_examples=80, deadline=None)
def test_a_line_that_both_keep_stays(base: str, ours: str, theirs: str) -> None:
    """Of lines that are there once: of several equal ones, each side may have taken away another."""
    merged = merge_text(base, ours, theirs)
    for line in {*lines(base)} & {*lines(ours)} & {*lines(theirs)}:
        if lines(base).count(line) == 1:
            assert line in lines(merged.text)


@pytest.mark.parametrize(("levels", "steps"), [(0, 1 << 24), (8, 0), (1, 20)])
@given(base=TEXTS, ours=TEXTS, theirs=TEXTS)
@settings(max_examples=60, deadline=None)
def test_a_side_that_alone_changed_is_taken_however_few_lines_are_paired(
    levels: int, steps: int, base: str, ours: str, theirs: str
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(matching, "_LEVELS", levels)
        patch.setattr(matching, "_MOST_STEPS", steps)
        assert (
            merge_text(base, ours, base) == merge_text(base, base, ours) == merge_text(base, ours, ours) == Merged(ours)
        )
        merged = merge_text(base, ours, theirs)
    told = [*lines(merged.text), *(line for one in merged.conflicts for line in lines(one.ours + "\n" + one.theirs))]
    added = {*lines(ours), *lines(theirs)} - {*lines(base)}
    assert added <= {*told}
