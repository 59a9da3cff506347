"""The search as a body sees it: which jobs are asked, in which order, and what comes of their answers."""

import pytest

from clew.agents.code import repair

LOCATED = {
    "candidates": 60,
    "targets": ["t"],
    "set_aside": {},
    "suspects": [{"file": "a.py", "line": 3, "score": 1.0, "group": 0}],
}
SUITE = {
    "passed": 1,
    "failed": 2,
    "skipped": 0,
    "failing": ["t"],
    "messages": {"t": "AssertionError: 1 != 2"},
    "seconds": 0.1,
    "interpreter": {"executable": "/python"},
}
LIMITS = {"max_tries": 100, "time_limit": 10.0}


class Script:
    """Answers batches by the set of ranks that pass, and verifications by the set that the suite agrees with."""

    score = 1.0

    def __init__(self, passing=(), fixed=(), alone=True):
        self.passing, self.fixed, self.alone = set(passing), set(fixed), alone
        self.asked = []

    async def __call__(self, name, request, suite, located, what):
        self.asked.append((name, what))
        if name == "verify":
            return {"fixed": what in self.fixed}
        ranks = range(what["start"], what["start"] + what["count"])
        verdicts = ["passed" if rank in self.passing else "killed" for rank in ranks]
        repairs = [{"rank": r, "repaired": [0], "near": [0], "score": self.score} for r in ranks if r in self.passing]
        return {"verdicts": verdicts, "seconds": 0.5, "alone": self.alone, "repairs": repairs}

    async def search(self, located=LOCATED):
        return await repair.search(self, {}, {}, located, LIMITS)


async def test_the_first_that_the_whole_suite_agrees_with():
    script = Script(passing=[30, 35], fixed=[35])
    found = await script.search()
    assert found["verified"] == {"fixed": True, "rank": 35}
    assert [what for name, what in script.asked if name == "verify"] == [30, 35]
    assert (found["reason"], found["tried"], found["refused"], found["seconds"]) == ("found", 60, 1, 1.0)


async def test_it_goes_on_after_a_refusal():
    found = await Script(passing=[3, 40], fixed=[40]).search()
    assert found["verified"]["rank"] == 40


async def test_nothing_passes():
    found = await Script().search()
    assert (found["verified"], found["reason"], found["verdicts"]) == (None, "exhausted", {"killed": 60})


async def test_many_refusals_end_it():
    script = Script(passing=range(20))
    found = await script.search()
    assert (found["verified"], found["reason"], found["refused"]) == (None, "refused", repair.VERIFY_AT_MOST)


async def test_tests_that_pass_on_their_own_end_it_at_once():
    script = Script(passing=range(60), alone=False)
    found = await script.search()
    assert found["reason"] == "order_dependent"
    assert len(script.asked) == 1


async def test_no_target_asks_nothing():
    script = Script()
    found = await script.search({**LOCATED, "targets": []})
    assert (found["reason"], script.asked) == ("no_target", [])


@pytest.mark.parametrize("verified", [None, {"fixed": True}])
async def test_the_report_is_told_whether_repaired_or_not(verified):
    found = {"reason": "found", "tried": 7, "verdicts": {}, "refused": 0, "seconds": 1.0, "verified": verified}
    told = repair.report(SUITE, {**LOCATED, "seconds": 0.2}, found)
    assert told["tests_before"] == {"passed": 1, "failed": 2, "skipped": 0}
    assert told["suspects"] == [{"file": "a.py", "line": 3, "score": 1.0}]
    assert told["tried"] == 7


class Faults:
    """A suite with several faults: batches of one candidate for each, ``verify`` and ``confirm`` over the edits made."""

    def __init__(self, mends, spoils=()):
        self.mends, self.spoils = mends, spoils
        self.asked = []

    def _told(self, edits, targets):
        mended = {test for edit in edits for test in self.mends[edit]}
        remaining = [test for test in targets if test not in mended]
        good = not set(self.spoils) & set(edits)
        return {
            "fixed": good and not remaining,
            "better": good and len(remaining) < len(targets),
            "remaining": remaining,
            "edits": edits,
            "tests_after": {"passed": 1 + len(mended)},
        }

    async def __call__(self, name, request, suite, *rest):
        self.asked.append((name, *rest[1:]))
        if name == "locate":
            return self.located(suite["failing"], rest[0])
        located, what = rest
        if name == "verify":
            return self._told([*located["edits"], what], located["targets"])
        if name == "confirm":
            return self._told(what, located["targets"])
        repairs, verdicts = [], ["killed"] * what["count"]
        for rank, tests in enumerate(self.mends):
            found = [number for number, test in enumerate(located["targets"]) if test in tests]
            whole = len(found) == len(located["targets"])
            if found and rank not in located["edits"] and (whole or "misses" in what):
                verdicts[rank] = "passed" if whole else "partial"
                repairs.append({"rank": rank, "repaired": found, "near": found, "score": 1.0})
        return {"verdicts": verdicts, "seconds": 0.5, "alone": True, "repairs": repairs}

    def located(self, failing, edits):
        return {"candidates": 9, "targets": failing, "set_aside": {}, "suspects": [], "edits": edits, "whole": False}

    async def search(self, failing, changes):
        suite = {**SUITE, "failing": failing, "others": [], "hanging": []}
        limits = {**LIMITS, "changes": changes}
        return await repair.search(self, {}, suite, self.located(failing, []), limits)


async def test_one_change_after_the_other():
    script = Faults([["a"], ["b", "c"]])
    script.mends.append(["a"])
    found = await script.search(["a", "b", "c"], 4)
    assert found["verified"]["edits"] == [1, 0]
    assert [name for name, *_ in script.asked] == [
        "evaluate",
        "verify",
        "locate",
        "evaluate",
        "verify",
        *["confirm"] * 2,
    ]
    assert (found["tried"], found["part"]) == (18, None)


async def test_changes_that_nothing_needs_are_taken_back():
    """The second change repairs what the first did, too."""
    script = Faults([["a", "b"], ["a", "b", "c", "d"]])
    script.mends[1] = ["c", "d"]
    script._told_before = script._told

    def told(edits, targets):
        if 1 in edits and len(edits) == 1:
            return {**script._told_before([0, 1], targets), "edits": edits}
        return script._told_before(edits, targets)

    script._told = told
    found = await script.search(["a", "b", "c", "d"], 4)
    assert found["verified"]["edits"] == [1]


async def test_a_part_is_told_where_the_rest_is_out_of_reach():
    found = await Faults([["a"]]).search(["a", "b"], 4)
    assert (found["verified"], found["reason"]) == (None, "exhausted")
    assert found["part"]["remaining"] == ["b"]


async def test_no_more_changes_than_asked_for():
    script = Faults([["a"], ["b"], ["c"]])
    found = await script.search(["a", "b", "c"], 2)
    assert (found["verified"], found["part"]["remaining"]) == (None, ["b", "c"])
    assert (await script.search(["a", "b", "c"], 1))["part"] is None
    assert (await script.search(["a", "b", "c"], 3))["verified"]


async def test_a_part_that_breaks_other_tests_is_not_taken():
    script = Faults([["a", "b"], ["a"], ["b", "c"]], spoils=[0])
    found = await script.search(["a", "b", "c"], 4)
    assert sorted(found["verified"]["edits"]) == [1, 2]
    assert found["refused"] == 2
