import json
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from clew.core.errors import ManifestError
from clew.core.graph import Backoff, Retry
from clew.manifest.plan import ApprovalSpec, Permissions, Plan, check, load

Write = Callable[[dict[str, str | bytes]], Path]


def test_the_example_of_the_manual(full_project: Path) -> None:
    assert check(full_project) == []
    plan = load(full_project)
    assert plan.workflow == "triage"
    nodes = {node.id: node for node in plan.graph.nodes}
    assert nodes["start"].default
    assert nodes["parts"].over == "items"
    assert nodes["join"].on_failure == "partial"
    assert nodes["failed"].always_fail
    assert nodes["answer"].retry == Retry(
        max_attempts=3, backoff=Backoff(initial_ms=1000, factor=2.0, max_ms=30_000), on=("timeout", "provider")
    )
    assert [edge.target for edge in plan.graph.edges if edge.on_failure] == ["sorry"]
    assert plan.nodes["answer"].timeout_ms == 120_000
    assert plan.nodes["work"].timeout_ms == 300_000
    assert plan.nodes["answer"].tools == ("search_context",)
    assert plan.agents["triager"].instructions == "Choose a route.\n"
    assert plan.agents["triager"].limits.cost == "0.05"
    assert plan.tools["read_file"].permissions == Permissions(root=".")
    assert plan.tools["lookup"].type == "handler"
    assert plan.tools["lookup"].inputs == {
        "type": "object",
        "properties": {"id": {"type": "string"}},
        "required": ["id"],
    }
    assert plan.schemas["Route"] == {"type": "object", "required": ["route"]}
    assert set(plan.sections) == {"memory", "providers", "models", "provider_credentials"}
    assert set(plan.handlers) == {f"handlers:{name}" for name in ("work", "join", "apologise", "lookup")}
    assert {"clew.yaml", "handlers.py", "prompts/triager.md", "schemas/Ticket.json"} <= set(plan.files)


def test_a_plan_survives_json(full_project: Path) -> None:
    plan = load(full_project)
    assert msgspec.json.decode(msgspec.json.encode(plan), type=Plan) == plan


def test_layout_comments_and_spellings_do_not_change_the_digest(
    full_project: Path, full: str, write: Write, handlers: str
) -> None:
    before = load(full_project)
    sections = full.split("\n")
    files: dict[str, str | bytes] = {}
    name = ""
    for line in sections:
        if line and not line.startswith(" "):
            name = line.removesuffix(":")
            name = name.partition(":")[0]
            files[f"{name}.yaml"] = "# moved\n"
        elif name:
            files[f"{name}.yaml"] = str(files[f"{name}.yaml"]) + line.removeprefix("  ") + "\n"
    files["agents.yaml"] = str(files["agents.yaml"]).replace("model: fast", "llm: fast")
    files["workflow.yaml"] = (
        str(files["workflow.yaml"])
        .replace("agent: triager", "agent_id: triager")
        .replace("label: batch", "condition: batch")
    )
    (full_project / "clew.yaml").unlink()
    after = load(write(files))
    assert after.digest == before.digest
    assert after.files != before.files


def test_json_manifests_give_the_same_plan(write: Write, workflow: str, handlers: str) -> None:
    plain = load(write({"workflow.yaml": workflow, "handlers.py": handlers}))
    data = {
        "id": "w",
        "nodes": [
            {"id": "start", "kind": "deterministic", "role": "start"},
            {"id": "work", "kind": "deterministic", "role": "linear", "handler": "handlers:work"},
            {"id": "done", "kind": "deterministic", "role": "exit"},
        ],
        "edges": [{"from": "start", "to": "work"}, {"from": "work", "to": "done"}],
    }
    root = write({"workflow.json": json.dumps(data, indent="\t")})
    (root / "workflow.yaml").unlink()
    assert load(root).digest == plain.digest


@pytest.mark.parametrize(
    ("file", "before", "after", "same"),
    [
        ("clew.yaml", "timeout: 120s", "timeout: 2m", True),
        ("clew.yaml", "timeout: 120s", "timeout: 121s", False),
        ("clew.yaml", "label: batch", "label: many", False),
        ("clew.yaml", "max_tokens: 4000", "max_tokens: 4001", False),
        ("clew.yaml", "input: 0,", "input: 0.0,", True),
        ("prompts/triager.md", "Choose", "Take", False),
        ("schemas/Route.json", "route", "way", False),
        ("schemas/Route.json", ", ", ",\n ", True),
        ("handlers.py", "return {}", "return {'x': 1}", True),
    ],
)
def test_what_the_digest_covers(full_project: Path, file: str, before: str, after: str, same: bool) -> None:
    old = load(full_project)
    text = (full_project / file).read_text()
    assert before in text
    (full_project / file).write_text(text.replace(before, after))
    new = load(full_project)
    assert (new.digest == old.digest) is same
    assert new.files[file] != old.files[file]
    assert (new.handlers == old.handlers) is (file != "handlers.py")


@pytest.mark.parametrize(
    ("approval", "spec"),
    [
        ("true", ApprovalSpec()),
        ("false", None),
        ("~", None),
        ("{}", ApprovalSpec()),
        (
            "{approvers: [ops], timeout: 1h, default: approve, editable: true, message: Sure?}",
            ApprovalSpec(approvers=("ops",), timeout_ms=3_600_000, default="approve", editable=True, message="Sure?"),
        ),
    ],
)
def test_approval(write: Write, workflow: str, handlers: str, approval: str, spec: ApprovalSpec | None) -> None:
    text = workflow.replace("role: linear,", f"role: linear, approval: {approval},")
    assert load(write({"workflow.yaml": text, "handlers.py": handlers})).nodes["work"].approval == spec


def test_inline_schemas_have_names_of_their_own(write: Write, workflow: str, handlers: str) -> None:
    text = workflow.replace("role: linear,", "role: linear, schema_out: {type: object},")
    plan = load(write({"workflow.yaml": text, "handlers.py": handlers}))
    name = plan.nodes["work"].schema_out
    assert name == "#nodes.work.schema_out"
    assert plan.schemas[name] == {"type": "object"}


def test_errors_are_raised_and_warnings_are_not(write: Write, workflow: str, handlers: str) -> None:
    root = write({"workflow.yaml": workflow, "handlers.py": handlers, "polic.yaml": "{}"})
    assert [problem.severity for problem in check(root)] == ["warning"]
    assert load(root).workflow == "w"
    (root / "tools.yaml").write_text("- {id: t}")
    with pytest.raises(ManifestError) as caught:
        load(root)
    assert [problem.file for problem in caught.value.problems] == ["tools.yaml"]


@pytest.mark.parametrize(
    ("said", "tools"),
    [("", ("read_file", "list_files")), (", tools: [list_files]", ("list_files",)), (", tools: []", ())],
)
@pytest.mark.parametrize("agent", ["one", "either"])
def test_a_node_that_names_no_tools_allows_its_agents(
    tmp_path: Path, said: str, tools: tuple[str, ...], agent: str
) -> None:
    (tmp_path / "clew.yaml").write_text(f"""
workflow:
  id: w
  nodes:
    - {{id: s, kind: deterministic, role: start}}
    - {{id: a, kind: agent, role: linear, agent: {agent}{said}}}
    - {{id: e, kind: deterministic, role: exit}}
  edges: [{{from: s, to: a}}, {{from: a, to: e}}]
providers: [{{id: off, type: offline}}]
agents:
  - {{id: one, model: off/x, tools: [read_file, list_files]}}
  - {{id: two, model: off/x, tools: [list_files]}}
  - {{id: either, pool: [one, two]}}
tools: [{{id: read_file, type: builtin}}, {{id: list_files, type: builtin}}]
""")
    assert load(tmp_path).nodes["a"].tools == tools
