from clew.manifest.plan import load
from clew.testing import write_project

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
