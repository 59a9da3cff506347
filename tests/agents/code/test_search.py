from clew.agents.code.search import DOUBT, FIRST_BATCH, LARGEST_BATCH, PATIENCE, Search


def repair(rank, repaired, near=(), score=0.5):
    return {"rank": rank, "repaired": list(repaired), "near": list(near or repaired), "score": score}


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
    repairs = [repair(1, [0]), repair(3, [0], score=0.9)]
    search.take(["killed", "passed", "killed", "passed"], 1.0, repairs)
    assert [found.rank for found in search.drain()] == [3, 1]
    assert search.drain() == []
    assert search.counts == {"killed": 2, "passed": 2}


def test_a_doubtful_one_waits_for_a_better_one():
    search = Search(total=500, max_tries=500, time_limit=60)
    search.take(["passed", "killed"], 1.0, [{**repair(0, [0]), "sure": False}])
    assert search.drain() == []
    search.take(["killed", "passed"], 1.0, [repair(3, [0], score=0.3)])
    assert [found.rank for found in search.drain()] == [0, 3]


def test_a_doubtful_one_does_not_wait_for_ever():
    search = Search(total=500, max_tries=500, time_limit=60)
    search.take(["partial", "passed"], 1.0, [repair(0, [1]), {**repair(1, [0, 1]), "sure": False}])
    assert (search.drain(), search.part()) == ([], None)
    search.take(["killed"] * DOUBT, 1.0)
    assert [found.rank for found in search.drain()] == [1]


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


def test_a_part_is_taken_at_once_where_no_line_is_common_to_all():
    search = Search(total=500, max_tries=500, time_limit=60, whole=False)
    search.take(["partial", "killed", "partial"], 0.1, [repair(0, [1], near=[0, 1]), repair(2, [1])])
    assert search.part().rank == 2
    assert search.part().rank == 0
    assert search.part() is None


def test_a_repair_of_everything_is_looked_for_first():
    search = Search(total=500, max_tries=500, time_limit=60)
    search.take(["partial", "killed"], 0.1, [repair(0, [1])])
    assert search.part() is None
    search.take(["killed"] * PATIENCE, 0.1)
    assert search.part().rank == 0


def test_a_part_is_taken_when_the_search_is_at_its_end():
    search = Search(total=2, max_tries=500, time_limit=60)
    search.take(["killed", "partial"], 0.1, [repair(1, [1])])
    assert search.part().rank == 1


def test_the_part_that_repairs_most_is_taken():
    search = Search(total=9, max_tries=3, time_limit=60, whole=False)
    parts = [repair(0, [1], score=0.9), repair(1, [1, 2]), repair(2, [1, 2], score=0.6)]
    search.take(["partial"] * 3, 0.1, parts)
    assert [search.part().rank for _ in parts] == [2, 1, 0]


def test_one_of_a_doubtful_kind_is_not_taken_at_once():
    search = Search(total=500, max_tries=500, time_limit=60, whole=False)
    search.take(["partial"], 0.1, [{**repair(0, [1]), "sure": False}])
    assert search.part() is None
    search.take(["partial"], 0.1, [repair(1, [1], score=0.9)])
    assert search.part().rank == 1


def test_what_passes_on_its_own_is_no_repair():
    search = Search(total=3, max_tries=3, time_limit=60, whole=False)
    search.ignore([1])
    search.take(["partial"] * 3, 0.1, [repair(0, [1]), repair(1, [0, 1]), repair(2, [2], near=[1, 2])])
    assert [(search.part().rank) for _ in range(2)] == [1, 2]
    assert search.part() is None
