from clew.agents.code.search import FIRST_BATCH, LARGEST_BATCH, Search


def test_batches_grow_to_a_limit_and_end_with_the_candidates():
    search = Search(total=700, max_tries=10_000, time_limit=60)
    sizes = []
    while batch := search.next_batch():
        assert batch.start == search.tried
        sizes.append(batch.count)
        search.take(["killed"] * batch.count, 0.1)
    assert sizes[0] == FIRST_BATCH
    assert max(sizes) == LARGEST_BATCH
    assert sum(sizes) == 700
    assert search.reason == "exhausted"


def test_what_was_not_reached_is_asked_for_again():
    search = Search(total=50, max_tries=50, time_limit=60)
    search.take(["killed", "timeout", None, "passed"], 1.0)
    assert search.tried == 2
    batch = search.next_batch()
    assert batch is not None
    assert batch.start == 2
    assert search.drain() == []


def test_passed_ranks_are_handed_out_once():
    search = Search(total=50, max_tries=50, time_limit=60)
    search.take(["killed", "passed", "killed", "passed"], 1.0)
    assert search.drain() == [1, 3]
    assert search.drain() == []
    assert search.counts == {"killed": 2, "passed": 2}


def test_limits():
    tries = Search(total=50, max_tries=3, time_limit=60)
    assert tries.next_batch().count == 3
    tries.take(["killed"] * 3, 0.1)
    assert (tries.next_batch(), tries.reason) == (None, "tries")
    late = Search(total=50, max_tries=50, time_limit=1)
    late.take(["killed"], 1.5)
    assert (late.next_batch(), late.reason) == (None, "time")


def test_a_batch_without_any_verdict_is_tried_once_more_only():
    search = Search(total=50, max_tries=50, time_limit=60)
    search.take([None], 0.0)
    assert search.reason == ""
    search.take([None], 0.0)
    assert search.reason == "stuck"
