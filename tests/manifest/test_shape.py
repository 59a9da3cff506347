from clew.manifest.kinds import fields_of
from clew.manifest.models.agents import Memory
from clew.manifest.models.project import Project
from clew.manifest.models.workflow import Workflow
from clew.manifest.problems import Problems
from clew.manifest.read import read
from clew.manifest.shape import Shape


def _shape(text: str, section: str) -> tuple[object, Shape, list[str]]:
    problems = Problems()
    located = read(text.encode(), f"{section}.yaml", (section,), problems)
    assert located is not None
    shape = Shape(problems)
    model = shape.section(located, fields_of(Project)[section].kind, section)
    return model, shape, [str(problem) for problem in problems.sorted()]


def test_positions_of_values_and_keys() -> None:
    _, shape, _ = _shape("id: w\nnodes:\n  - {id: a, kind: agent, role: linear, agent_id: b}\nedges: []\n", "workflow")
    path = ("workflow", "nodes", 0, "agent")
    assert str(shape.mark(path)) == "workflow.yaml:3:50"
    assert str(shape.keys[path]) == "workflow.yaml:3:40"
    assert str(shape.mark((*path, "deeper"))) == "workflow.yaml:3:50"


def test_damage_stays_where_it_is() -> None:
    model, shape, problems = _shape("id: w\nnodes: [{id: a, kind: agent, role: 3}]\nedges: []\n", "workflow")
    assert isinstance(model, Workflow)
    assert len(problems) == 1
    assert shape.damaged(("workflow", "nodes", 0, "role"))
    assert not shape.damaged(("workflow", "nodes", 0))
    assert not shape.damaged(("workflow", "nodes", 0, "id"))
    assert model.nodes[0].id == "a"


def test_null_stands_for_nothing_where_that_may_be() -> None:
    model, _, problems = _shape("task_store: ~\nsearch: {k: ~}\n", "memory")
    assert isinstance(model, Memory)
    assert model.task_store is None
    assert problems == []
    assert len(_shape("task_store: {backend: ~}\n", "memory")[2]) == 1


def test_values_of_earlier_engines() -> None:
    model, _, problems = _shape("task_store: {backend: jsonl}\n", "memory")
    assert isinstance(model, Memory)
    assert model.task_store is not None
    assert model.task_store.backend == "file"
    assert problems == []


def test_a_value_that_could_not_be_read_is_reported_once() -> None:
    _, shape, problems = _shape("search: {k: .nan, rrf_k: !x 1}\n", "memory")
    assert len(problems) == 2
    assert shape.damaged(("memory", "search", "k"))
