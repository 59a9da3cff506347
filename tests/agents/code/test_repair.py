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

    def __init__(self, passing=(), fixed=(), alone=True):
        self.passing, self.fixed, self.alone = set(passing), set(fixed), alone
        self.asked = []

    async def __call__(self, name, request, suite, located, what):
        self.asked.append((name, what))
        if name == "verify":
            return {"fixed": what in self.fixed}
        ranks = range(what["start"], what["start"] + what["count"])
        verdicts = ["passed" if rank in self.passing else "killed" for rank in ranks]
        return {"verdicts": verdicts, "seconds": 0.5, "alone": self.alone}

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
