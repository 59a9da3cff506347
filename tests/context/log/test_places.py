"""What memory holds of a JSONL log, against what a list of versions says."""

from hypothesis import given, settings
from hypothesis import strategies as st

from clew.context.log.lines import AttachedNumbers, Head, Labelled, Numbers, WroteNumbers
from clew.context.log.places import Places, Span
from clew.context.log.port import Label

STEPS = st.lists(st.tuples(st.sampled_from("abcd"), st.booleans()), max_size=25)


def taken(steps: list[tuple[str, bool]]) -> Places:
    """Versions at places 2, 4, 6 …; True: a removal."""
    places, numbers = Places(), dict.fromkeys("abcd", 0)
    for index, (name, deleted) in enumerate(steps):
        numbers[name] += 1
        line = Numbers(2 * index + 2, name, numbers[name], at=index, deleted=deleted)
        places.apply(WroteNumbers(line, size=index), Span(100 * index, 100))
    return places


@given(steps=STEPS, n=st.integers(0, 52))
@settings(max_examples=150, deadline=None)
def test_like_a_list_of_versions(steps: list[tuple[str, bool]], n: int) -> None:
    places = taken(steps)
    newest = {name: index for index, (name, _) in enumerate(steps)}
    live = {name: index for name, index in newest.items() if not steps[index][1]}
    assert (places.head, places.versions) == (2 * len(steps), len(steps))
    assert (places.live, places.size) == (len(live), sum(live.values()))
    assert [(kept.id, kept.at) for kept in places.oldest()] == sorted(live.items(), key=lambda item: item[1])
    assert places.ids("") == sorted(live)
    assert {name: places.newest(name) for name in newest} == newest
    assert {name: places.live_index(name) for name in live} == live
    until = {name: index for index, (name, _) in enumerate(steps) if 2 * index + 2 <= n}
    assert {name: places.as_of(n, name) for name in "abcd"} == {name: until.get(name) for name in "abcd"}
    assert places.places_at(n) == sorted(2 * index + 2 for index in until.values())
    assert list(places.after(n, 3)) == [index for index in range(len(steps)) if 2 * index + 2 > n][:3]
    for name in "abcd":
        assert places.chain(name) == [index for index, (other, _) in enumerate(steps) if other == name]
    assert [places.index_of(2 * index + 2) for index in range(len(steps))] == list(range(len(steps)))
    assert places.index_of(2 * n + 1) is None


@given(steps=STEPS, labels=st.sets(st.integers(0, 52), max_size=4), since=st.integers(-1, 60))
@settings(max_examples=150, deadline=None)
def test_what_compaction_keeps_is_enough(steps: list[tuple[str, bool]], labels: set[int], since: int) -> None:
    places = taken(steps)
    for n in labels:
        places.apply(Labelled(str(n), n), Span(0, 0))
    kept = places.keep(since)
    assert kept == sorted(set(kept))
    for n in {*labels, *range(max(since, 0), 62)}:
        assert {2 * index + 2 for index in kept} >= {*places.places_at(n)}
    needed = {
        index for n in {*labels, *range(max(since, 0), 62)} for index in map(places.index_of, places.places_at(n))
    }
    assert set(kept) == needed
    live = [index for index in map(places.live_index, "abcd") if index is not None]
    gone = set(kept) - set(places.keep(since, removals=True))
    assert all(places.chain(steps[index][0])[-1] == index for index in gone)
    assert not gone & {*live, len(steps) - 1}
    for n in {*labels, *range(max(since, 0), 62)}:
        there = [index for index in map(places.index_of, places.places_at(n)) if not steps[index][1]]
        assert not gone & set(there)


def test_the_embedders_attached_last_are_kept() -> None:
    places = taken([("a", False), ("b", False)])
    for number, embedder in enumerate("mnopmq", 1):
        places.apply(AttachedNumbers(number, 2, embedder), Span(number, 1))
    assert [*places.vectors_of(0)] == ["o", "p", "m", "q"]
    assert places.attached(0, 9) == [(6, 2, Span(6, 1))]
    assert places.attached(0, 9, "m") == [(5, 2, Span(5, 1))]
    assert places.attached(0, 9, "n") == []


def test_vectors_labels_and_the_head_line() -> None:
    places = taken([("a", False), ("b", False)])
    places.apply(Head(floor=1, m=7), Span(0, 10))
    for number, n in enumerate((2, 4, 2), 8):
        places.apply(AttachedNumbers(number, n, "m"), Span(number, 1))
    assert (places.floor, places.m) == (1, 10)
    assert [places.vectors_of(index) for index in (0, 1)] == [{"m": Span(10, 1)}, {"m": Span(9, 1)}]
    assert places.attached(0, 9) == [(9, 4, Span(9, 1)), (10, 2, Span(10, 1))]
    assert places.attached(0, 1) == [(9, 4, Span(9, 1))]
    assert places.attached(9, 9) == [(10, 2, Span(10, 1))]
    places.apply(Labelled("x", 2, 5), Span(0, 0))
    assert places.labels == {"x": Label(2, 5)}
    places.apply(Labelled("x", None), Span(0, 0))
    assert places.labels == {}
    assert (places.span(1), places.size_of(1)) == (Span(100, 100), 1)


def test_numbers_of_attachments_are_not_given_again_where_the_newest_is_gone() -> None:
    places = taken([("a", False), ("b", False)])
    places.apply(Head(m=7), Span(0, 10))
    places.apply(AttachedNumbers(3, 2, "m"), Span(1, 1))
    assert places.m == 7
