from clew.manifest.plan import load
from clew.testing import one_node, write_project

YAML = """
    workflow:
      id: tiny
      nodes:
        - {id: s, kind: deterministic, role: start}
        - {id: a, kind: deterministic, role: linear, handler: "handlers:a"}
        - {id: x, kind: deterministic, role: exit}
      edges: [{from: s, to: a}, {from: a, to: x}]
"""


def test_a_project_from_text(tmp_path):
    directory = write_project(tmp_path / "deep" / "p", YAML, "async def a(input, ctx): ...", extra="x = 1")
    assert load(directory).workflow == "tiny"
    assert (directory / "extra.py").read_text() == "x = 1"


def test_a_project_from_a_dict(tmp_path):
    workflow = {
        "id": "tiny", "edges": [{"from": "s", "to": "x"}],
        "nodes": [{"id": "s", "kind": "deterministic", "role": "start"}, {"id": "x", "kind": "deterministic", "role": "exit"}],
    }  # fmt: skip
    assert load(write_project(tmp_path, {"workflow": workflow})).graph.edges[0].target == "x"


def test_a_project_of_one_node(tmp_path):
    handlers = "def work(input, ctx): ..."
    plan = load(write_project(tmp_path, one_node("tiny", "handlers:work", timeout="7s"), handlers))
    assert (plan.workflow, [node.id for node in plan.graph.nodes]) == ("tiny", ["start", "work", "done"])
    assert (plan.nodes["work"].handler, plan.nodes["work"].timeout_ms) == ("handlers:work", 7_000)
