"""Branch, split, merge, failure edges, leaves, the first arm (requirements W3-W7), through the machine."""

import pytest

from clew.core.errors import Failure
from clew.testing import MachineScript, graph_of

BRANCH = "s:start b:branch a:linear c:linear x:exit y:exit", "s>b>a>x b>c>y"
MERGE = "s:start b:branch a:linear c:linear m:merge x:exit", "s>b>a>m>x b>c>m"


def boom(_value=None):
    raise Failure("it broke", code="boom")


def run(nodes_edges, outcomes=None, value=None, **options):
    script = MachineScript(graph_of(*nodes_edges, **options)).begin(value).walk(outcomes)
    assert script.machine.snapshot() == script.again().snapshot()
    return script


def ends_as(script):
    return script.machine.state, script.machine.status, script.machine.output


def both_ways(nodes_edges, outcomes=None, value=None, **options):
    """The result does not depend on which body was faster."""
    forwards = run(nodes_edges, outcomes, value, **options)
    backwards = MachineScript(graph_of(*nodes_edges, **options)).begin(value).walk(outcomes, backwards=True)
    assert ends_as(forwards) == ends_as(backwards)
    assert {t: forwards.state(t) for t in forwards.machine.tasks} == {
        t: backwards.state(t) for t in backwards.machine.tasks
    }
    return forwards


# -- a line, its exit, its failure ---------------------------------------------------------------------------------


def test_a_line_passes_its_value_on():
    script = run(("s:start a:linear x:exit", "s>a>x"), {"a": lambda v: v + 1}, 1)
    assert ends_as(script) == ("completed", "success", 2)
    assert script.ran == ["0/s#1", "0/a#1", "0/x#1"]


def test_a_failing_start_fails_the_run():
    script = run(("s:start x:exit", "s>x"), {"s": boom})
    assert ends_as(script) == ("failed", "failure", None)
    assert script.machine.error == {"code": "boom", "message": "it broke", "details": None}


def test_an_exit_whose_body_fails_is_a_failure():
    assert ends_as(run(("s:start x:exit", "s>x"), {"x": boom}))[:2] == ("failed", "failure")


def test_an_exit_that_always_fails_keeps_its_output():
    script = run(("s:start x:exit", "s>x"), {"x": "out"}, x={"always_fail": True})
    assert ends_as(script) == ("failed", "failure", "out")
    assert script.machine.error["code"] == "always_fail"


def test_continue_on_failure_passes_the_input_on_and_marks_the_task():
    script = run(("s:start a:linear c:linear x:exit", "s>a>c>x"), {"a": boom}, 7, a={"continue_on_failure": True})
    assert ends_as(script) == ("completed", "partial", 7)
    assert script.ran == ["0/s#1", "0/a#1", "0/c#1", "0/x#1"]


def test_a_failure_edge_passes_error_and_input_and_recovery_is_success():
    seen = []
    script = run(("s:start a:linear f:linear x:exit y:exit", "s>a>x a!f>y"), {"a": boom, "f": seen.append}, 7)
    assert seen == [{"error": {"code": "boom", "message": "it broke", "details": None}, "input": 7}]
    assert ends_as(script)[:2] == ("completed", "success")


def test_a_failure_edge_may_lead_to_an_exit():
    script = run(("s:start a:linear x:exit y:exit", "s>a>x a!y"), {"a": boom}, y={"always_fail": True})
    assert script.machine.status == "failure"
    assert script.ran[-1] == "0/y#1"


# -- decision --------------------------------------------------------------------------------------------------------

DECISION = "s:start d:decision a:linear c:linear x:exit", "s>d d>a[left]>x d>c[right]>x"


@pytest.mark.parametrize(("label", "node"), [("left", "a"), ("right", "c")])
def test_a_decision_takes_the_edge_it_names(label, node):
    script = run(DECISION, {"d": {"route": label}})
    assert f"0/{node}#1" in script.ran
    assert len(script.ran) == 4
    assert script.machine.output == {"route": label}


def test_an_unknown_label_fails_the_node():
    script = run(DECISION, {"d": {"route": "up"}})
    assert script.machine.error["code"] == "unknown_route"
    assert script.machine.status == "failure"


def test_an_unknown_label_goes_the_failure_edge():
    script = run((DECISION[0] + " f:linear", DECISION[1] + " d!f>x"), {"d": "up"}, 3)
    assert script.machine.status == "success"
    assert script.machine.output["error"]["code"] == "unknown_route"
    assert script.machine.output["input"] == 3


# -- branch ----------------------------------------------------------------------------------------------------------


def test_a_branch_gives_each_arm_the_output_and_takes_the_first_success_by_position():
    script = both_ways(BRANCH, {"b": 5, "a": lambda v: v + 1, "c": lambda v: v + 2})
    assert ends_as(script) == ("completed", "success", 6)
    assert script.machine.tasks["0.1"].output == 7
    assert script.state("0") == "completed/success"


def test_a_branch_passes_over_a_failed_arm():
    script = both_ways(BRANCH, {"a": boom, "c": "c"})
    assert ends_as(script) == ("completed", "success", "c")
    assert script.state("0.0") == "failed/failure"


def test_a_branch_prefers_success_to_an_earlier_partial():
    script = both_ways(BRANCH, {"a": boom, "c": "c"}, a={"continue_on_failure": True})
    assert ends_as(script) == ("completed", "success", "c")
    assert script.state("0.0") == "completed/partial"


def test_a_branch_with_failures_only_fails_and_names_them():
    script = both_ways(BRANCH, {"a": boom, "c": boom})
    assert ends_as(script)[:2] == ("failed", "failure")
    assert [f["task_id"] for f in script.machine.error["details"]["failures"]] == ["0.0", "0.1"]


def test_an_edge_to_an_exit_directly():
    script = both_ways(("s:start b:branch a:linear x:exit", "s>b>x b>a>x"), {"b": 1, "a": 2})
    assert ends_as(script) == ("completed", "success", 1)


def test_a_parents_failure_is_never_routed():
    """on: failure of a branch covers its own body, not its arms."""
    nodes_edges = "s:start b:branch a:linear c:linear f:linear x:exit y:exit", "s>b>a>x b>c>x b!f>y"
    arms = both_ways(nodes_edges, {"a": boom, "c": boom})
    assert arms.machine.status == "failure"
    assert not any("/f#" in body for body in arms.ran)
    body = both_ways(nodes_edges, {"b": boom})
    assert body.machine.status == "success"
    assert "0/f#1" in body.ran


def test_a_partial_parent_hands_its_mark_to_its_arms():
    script = both_ways(
        ("s:start a:linear b:branch c:linear d:linear x:exit", "s>a>b>c>x b>d>x"),
        {"a": boom},
        a={"continue_on_failure": True},
    )
    assert script.machine.status == "partial"


def test_a_branch_within_a_branch():
    nodes_edges = "s:start b:branch i:branch a:linear c:linear e:linear x:exit", "s>b>i>a>x b>e>x i>c>x"
    script = both_ways(nodes_edges, {"a": boom, "c": "c", "e": "e"})
    assert ends_as(script) == ("completed", "success", "c")
    assert {"0.0.0", "0.0.1", "0.1"} <= set(script.machine.tasks)
    assert script.machine.tasks["0.0.1"].lineage == ("0", "0.0", "0.0.1")


# -- wait: first -----------------------------------------------------------------------------------------------------


def test_the_first_success_cancels_the_other_arms():
    script = MachineScript(graph_of(*BRANCH, b={"wait": "first"})).begin().done("0").done("0")
    script.start("0.0")
    script.done("0.1", "c").done("0.1", "fast")
    assert script.state("0.0") == "cancelled"
    script.stopped("0.0").finish()
    assert ends_as(script) == ("completed", "success", "fast")


def test_a_failed_or_partial_arm_wins_nothing():
    script = MachineScript(graph_of(*BRANCH, b={"wait": "first"}, a={"continue_on_failure": True})).begin()
    script.done("0").done("0").fail("0.0").done("0.0", "slow")
    assert script.state("0.0") == "completed/partial"
    assert script.offered() == ["0.1/c"]
    script.fail("0.1").finish()
    assert ends_as(script) == ("completed", "partial", "slow")


def test_the_first_arrival_at_a_merge_wins():
    script = MachineScript(graph_of(*MERGE, b={"wait": "first"})).begin().done("0").done("0")
    script.done("0.1", "c")
    assert script.state("0.0") == "cancelled"
    assert script.offered() == ["0~m/m"]
    command = script.start("0~m")
    assert [e["task_id"] for e in command.input["merge_inputs"]] == ["0.1"]
    script.done("0~m", "merged").done("0~m").finish()
    assert script.machine.status == "success"


def test_a_failed_arrival_wins_nothing():
    script = MachineScript(graph_of(*MERGE, b={"wait": "first"})).begin().done("0").done("0").fail("0.0")
    assert script.offered() == ["0.1/c"]


def test_an_edge_straight_to_the_merge_wins_at_once():
    nodes_edges = "s:start b:branch a:linear m:merge x:exit", "s>b>m>x b>a>m"
    script = MachineScript(graph_of(*nodes_edges, b={"wait": "first"})).begin().done("0").done("0", 1)
    assert script.state("0.1") == "cancelled"
    assert script.machine.tasks["0.1"].node == "a"
    assert script.offered() == ["0~m/m"]


def test_a_losing_arm_is_cancelled_with_all_its_members_wherever_they_stand():
    nodes_edges = (
        "s:start b:branch i:branch a:linear c:linear d:linear e:linear n:merge w:linear x:exit y:exit",
        "s>b>i>a>n>x i>c>n i>d>n b>w>y i>e>n",
    )
    script = MachineScript(graph_of(*nodes_edges, b={"wait": "first"})).begin().done("0").done("0").done("0.0")
    key = script.wait("0.0.0")
    script.suspend("0.0.0")  # waits for a human
    script.done("0.0.1")  # waits at a merge
    script.start("0.0.2")  # runs
    assert script.offered() == ["0.0.3/e", "0.1/w"]
    script.done("0.1").done("0.1")
    assert [script.state(t) for t in ("0.0", "0.0.0", "0.0.1", "0.0.2", "0.0.3")] == ["cancelled"] * 5
    assert key not in script.machine.waits
    assert script.machine.tasks["0.0.2"].body == "stopping"
    script.stopped("0.0.2").finish()
    assert script.machine.status == "success"
    assert script.machine.snapshot() == script.again().snapshot()


def test_wait_first_inside_an_arm_touches_only_its_own_branch():
    nodes_edges = "s:start o:branch i:branch a:linear c:linear w:linear x:exit", "s>o>i>a>x i>c>x o>w>x"
    script = MachineScript(graph_of(*nodes_edges, i={"wait": "first"})).begin().done("0").done("0").done("0.0")
    script.done("0.0.0").done("0.0.0")
    assert (script.state("0.0.1"), script.state("0.1")) == ("cancelled", "queued")


# -- split -----------------------------------------------------------------------------------------------------------

SPLIT = "s:start p:split w:linear x:exit", "s>p>w>x"


def test_a_split_over_a_list_has_one_item_each():
    script = both_ways(SPLIT, {"p": {"rows": [1, 2, 3]}, "w": lambda v: v * 10}, p={"over": "rows"})
    assert ends_as(script) == ("completed", "success", [10, 20, 30])


def test_a_split_without_over_gives_each_edge_the_output():
    script = both_ways(
        ("s:start p:split a:linear c:linear x:exit", "s>p>a>x p>c>x"), {"p": 2, "a": lambda v: v, "c": "c"}
    )
    assert ends_as(script) == ("completed", "success", [2, "c"])


def test_a_handlers_subtask_inputs_split():
    script = both_ways(SPLIT, {"p": {"subtask_inputs": ["a", "b"]}})
    assert script.machine.output == ["a", "b"]


def test_one_failed_item_fails_a_split_and_the_others_run():
    script = both_ways(SPLIT, {"p": {"n": [1, 2, 3]}, "w": lambda v: boom() if v == 2 else v}, p={"over": "n"})
    assert ends_as(script) == ("failed", "failure", [1, None, 3])
    assert script.machine.error["details"]["failures"][0]["task_id"] == "0.1"


def test_a_partial_item_makes_a_split_partial():
    script = both_ways(
        SPLIT,
        {"p": {"n": [1, 2]}, "w": lambda v: boom() if v == 2 else v},
        p={"over": "n"},
        w={"continue_on_failure": True},
    )
    assert ends_as(script) == ("completed", "partial", [1, 2])


def test_an_empty_list_without_a_merge_is_success():
    script = both_ways(SPLIT, {"p": {"n": []}}, p={"over": "n"})
    assert ends_as(script) == ("completed", "success", [])


def test_an_empty_list_of_a_partial_task_is_partial():
    script = both_ways(
        ("s:start a:linear p:split w:linear x:exit", "s>a>p>w>x"), {"a": boom, "p": {"n": []}},
        a={"continue_on_failure": True}, p={"over": "n"},
    )  # fmt: skip
    assert ends_as(script) == ("completed", "partial", [])


def test_an_empty_list_arrives_as_nothing_and_the_merge_runs_on_it():
    seen = []
    script = both_ways(
        ("s:start p:split w:linear m:merge x:exit", "s>p>w>m>x"), {"p": {"n": []}, "m": seen.append}, p={"over": "n"}
    )
    assert seen[0] == {"merge_inputs": [], "failures": []}
    assert script.machine.status == "success"


def test_what_is_no_list_fails_the_split_and_goes_its_failure_edge():
    nodes_edges = "s:start p:split w:linear f:linear x:exit", "s>p>w>x p!f>x"
    assert both_ways(SPLIT, {"p": {"n": 3}}, p={"over": "n"}).machine.error["code"] == "not_a_list"
    script = both_ways(nodes_edges, {"p": {"n": 3}}, p={"over": "n"})
    assert script.machine.output["error"]["code"] == "not_a_list"
    assert script.machine.status == "success"


def test_thousands_of_items():
    count = 4_000
    graph = graph_of("s:start p:split w:linear m:merge x:exit", "s>p>w>m>x", p={"over": "n"})
    script = MachineScript(graph).begin().walk({"p": {"n": list(range(count))}, "m": lambda v: len(v["merge_inputs"])})
    assert script.machine.output == [count]  # the split's leaves: one, the merge's continuation


# -- merge -----------------------------------------------------------------------------------------------------------


def test_a_merge_waits_for_all_and_is_given_them_in_position_order():
    script = both_ways(MERGE, {"a": "A", "c": "C"}, 1)
    task = script.machine.tasks["0~m"]
    assert script.machine.output == {
        "merge_inputs": [
            {"task_id": "0.0", "node_id": "a", "output": "A", "status": "success", "index": 0, "lineage": ["0", "0.0"]},
            {"task_id": "0.1", "node_id": "c", "output": "C", "status": "success", "index": 1, "lineage": ["0", "0.1"]},
        ],
        "failures": [],
    }
    assert task.position == (0,)
    assert [script.machine.tasks[t].merged_into for t in ("0.0", "0.1")] == ["0~m", "0~m"]
    assert [script.state(t) for t in ("0.0", "0.1")] == ["completed/success"] * 2


def test_a_merge_fires_once_nothing_can_arrive_any_more():
    script = MachineScript(graph_of(*MERGE)).begin().done("0").done("0").done("0.0")
    assert script.offered() == ["0.1/c"]
    assert script.machine.tasks["0.0"].state == "waiting"
    script.done("0.1")
    assert script.offered() == ["0~m/m"]


def test_an_arm_that_ends_elsewhere_does_not_hold_the_merge():
    nodes_edges = "s:start b:branch d:decision a:linear m:merge x:exit y:exit", "s>b>d b>a>m>x d>m[in] d>y[out]"
    script = both_ways(nodes_edges, {"d": "out", "a": "A"})
    assert script.machine.output == "out"
    assert [e["task_id"] for e in script.machine.tasks["0~m"].input["merge_inputs"]] == ["0.1"]


@pytest.mark.parametrize(
    ("policy", "status", "inputs"),
    [("fail", "failure", None), ("ignore", "success", ["0.1"]), ("partial", "partial", ["0.1"])],
)
def test_what_a_failed_arrival_does(policy, status, inputs):
    script = both_ways(MERGE, {"a": boom, "c": "C"}, m={"on_failure": policy})
    assert script.machine.status == status
    if inputs is None:
        error = script.machine.tasks["0~m"].error
        assert (error["code"], error["message"]) == ("merge_failed", "1 of 2 arrivals failed")
        assert error["details"]["failures"][0]["task_id"] == "0.0"
        assert script.machine.error["details"]["failures"] == [{"task_id": "0~m", "error": error}]
        assert "0~m/m#1" not in script.ran
    else:
        given = script.machine.output
        assert [e["task_id"] for e in given["merge_inputs"]] == inputs
        assert given["failures"] == [
            {"task_id": "0.0", "node_id": "a", "error": {"code": "boom", "message": "it broke", "details": None},
             "status": "failure", "index": 0, "lineage": ["0", "0.0"]}
        ]  # fmt: skip
    assert script.state("0.0") == "completed/failure"


@pytest.mark.parametrize(("policy", "status"), [("fail", "failure"), ("ignore", "success"), ("partial", "failure")])
def test_what_failures_alone_do(policy, status):
    script = both_ways(MERGE, {"a": boom, "c": boom}, m={"on_failure": policy})
    assert script.machine.status == status
    if policy == "ignore":
        assert script.machine.output["merge_inputs"] == []


@pytest.mark.parametrize("policy", ["fail", "partial"])
def test_a_failed_merge_goes_its_failure_edge_and_recovers(policy):
    nodes_edges = MERGE[0] + " f:linear", MERGE[1] + " m!f>x"
    script = both_ways(nodes_edges, {"a": boom, "c": boom}, m={"on_failure": policy})
    assert script.machine.status == "success"
    assert script.machine.output["error"]["code"] == "merge_failed"
    assert [f["task_id"] for f in script.machine.output["input"]["failures"]] == ["0.0", "0.1"]


def test_a_failed_merge_may_continue():
    script = both_ways(MERGE, {"a": boom, "c": "C"}, m={"continue_on_failure": True})
    assert script.machine.status == "partial"
    assert [e["output"] for e in script.machine.output["merge_inputs"]] == ["C"]


def test_a_partial_arrival_makes_the_merged_task_partial():
    script = both_ways(MERGE, {"a": boom}, a={"continue_on_failure": True})
    assert script.machine.status == "partial"
    assert [e["status"] for e in script.machine.tasks["0~m"].input["merge_inputs"]] == ["partial", "success"]


def test_a_merge_of_alternatives_in_no_branch_is_the_runs():
    script = both_ways(("s:start d:decision a:linear c:linear m:merge x:exit", "s>d d>a[l]>m>x d>c[r]>m"), {"d": "r"})
    assert script.machine.status == "success"
    assert script.ran[-2:] == ["0~m/m#1", "0~m/x#1"]
    assert [(e["node_id"], e["index"]) for e in script.machine.tasks["0~m"].input["merge_inputs"]] == [("c", 0)]


def test_joins_rejoins_per_item():
    nodes_edges = "s:start p:split d:decision a:linear c:linear m:merge j:merge x:exit", "s>p>d d>a[l]>m>j>x d>c[r]>m"
    outcomes = {
        "p": {"n": ["l", "r"]},
        "m": lambda v: len(v["merge_inputs"]),
        "j": lambda v: [e["output"] for e in v["merge_inputs"]],
    }
    script = both_ways(nodes_edges, outcomes, p={"over": "n"}, m={"joins": "d"})
    assert script.machine.output == [[1, 1]]
    assert {"0.0~m", "0.1~m", "0~j"} <= set(script.machine.tasks)


def test_a_merge_that_is_itself_named_by_joins():
    """m opens an instance of its own when it fires."""
    nodes_edges = ("s:start b:branch a:linear c:linear m:merge f:linear k:merge x:exit", "s>b>a>m>k>x b>c>m m!f>k")
    script = both_ways(nodes_edges, {"a": 1, "m": boom}, k={"joins": "m"})
    assert script.machine.status == "success"
    assert "0~m~k" in script.machine.tasks


def test_arms_that_merge_further_out_leave_their_parent_merged():
    """All arms of the inner branch go to the outer merge: no leaves, so the parent is completed with merged_into."""
    nodes_edges = "s:start o:branch i:branch a:linear c:linear z:linear m:merge x:exit", "s>o>i>a>m>x i>c>m o>z>m"
    script = both_ways(nodes_edges, {"a": "A", "c": "C", "z": "Z"})
    assert script.machine.tasks["0.0"].merged_into == "0~m"
    assert script.state("0.0") == "completed/success"
    assert [e["task_id"] for e in script.machine.output["merge_inputs"]] == ["0.0.0", "0.0.1", "0.1"]
    assert [e["index"] for e in script.machine.output["merge_inputs"]] == [0, 0, 1]


def test_parents_within_parents_that_all_merged_out():
    nodes_edges = (
        "s:start o:branch i:branch k:branch a:linear c:linear e:linear z:linear m:merge x:exit",
        "s>o>i>k>a>m>x k>c>m i>e>m o>z>m",
    )
    script = both_ways(nodes_edges)
    assert [script.machine.tasks[t].merged_into for t in ("0.0", "0.0.0")] == ["0~m", "0~m"]
    assert script.machine.status == "success"


def test_an_unaware_mix_of_leaves_and_merged_arms():
    """One arm ends at an exit, the other merges out: the inner result is the leaf's."""
    nodes_edges = (
        "s:start o:branch i:branch a:linear c:linear z:linear m:merge x:exit y:exit",
        "s>o>i>a>m>x i>c>y o>z>m",
    )
    script = both_ways(nodes_edges, {"c": "left"})
    assert script.machine.tasks["0.0"].output == "left"
    assert script.machine.tasks["0.0"].merged_into is None


def test_several_leaves_of_the_run_follow_the_split_rule():
    """Two merges of the run's scope cannot be; two leaves come from a split's parent that merged in part."""
    nodes_edges = "s:start b:branch a:linear c:linear m:merge x:exit y:exit", "s>b>a>m>x b>c>y"
    script = both_ways(nodes_edges, {"a": 1, "c": 2})
    assert script.machine.status == "success"


def test_two_starts():
    graph = "s:start t:start a:linear x:exit", "s>a>x t>x"
    script = MachineScript(graph_of(*graph), "t").begin(1).walk()
    assert script.ran == ["0/t#1", "0/x#1"]
