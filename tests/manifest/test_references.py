from collections.abc import Callable
from pathlib import Path

from clew.manifest.plan import check, load

Write = Callable[[dict[str, str | bytes]], Path]

EVERYTHING: dict[str, str | bytes] = {
    "handlers.py": "def work(input, ctx): ...\ndef grade(result, case): ...\ndef watch(event, config): ...\n",
    "providers.yml": "- {id: local, type: offline}\n- {id: az, type: azure, base_url: 'https://x', credential: k}\n",
    "provider_credentials.yaml": "- {id: k, auth: {source: file, file_path: /run/key}}\n",
    "models.json": '{"fast": {"use": ["local/small"]}}',
    "agents.yaml": "- {id: a, model: fast, fallbacks: [az/gpt], tools: [t, m], limits: {cost: '0.10', time: 5m}}\n",
    "tools.yaml": "- {id: t, type: builtin, permissions: {root: data/}}\n"
    "- {id: m, inputs: {type: object}, server: {command: [srv], credential: k, credential_env: K}}\n",
    "memory.yaml": "task_store: {backend: file, retention: {max_age: 7d}}\n"
    "context_profiles: [{id: p, sources: [{store: session}]}]\n",
    "policy.yaml": "rules:\n  - {target: tool, target_id: t, action: deny, reason: no}\n"
    "  - {target: context, target_id: global, action: allow}\n  - {target: model, target_id: fast, action: allow}\n"
    "  - {target: node, target_id: '*', action: require_approval}\nbudgets: {session: 2, run: 0.5, alert_at: 0.8}\n",
    "scheduler.yaml": "max_concurrency: 2\ndead_letter: {retention: {max_age: 7d}}\n",
    "evaluations.yaml": "suites: [{id: s, cases: [{id: c, input: {}, start: start, expect: [{type: equals, value: 1},"
    " {type: custom, handler: 'handlers:grade'}]}]}]\ngym: [{id: g, suite: s, profiles: [a]}]\nonline: {sample: 0.1}\n",
    "plugins.yaml": "- {id: p, handler: 'handlers:watch', events: [RunStarted]}\n",
    "cli_profiles.yaml": "- {id: careful, mode: safe_mode, overrides: {model: fast, verbosity: quiet}, commands: {t: run}}\n",
    "metrics.yaml": "prometheus: true\nlabels: {team: x}\n",
    "artifacts.yaml": "retention: {max_items: 10, max_size: 1GiB}\nrules: [{node: work, retention: {max_age: 1h}}]\n",
    "deployment.yaml": "environment: production\nversion: '1.0'\n",
    "crew.yaml": "crew_id: c\nagents: [{profile: a, count: 2, tools: [t], env: {A: b}}]\nnetwork: {bus: b, vector_namespace: v}\n",
}


def test_every_section_in_a_file_of_its_own(write: Write, workflow: str) -> None:
    root = write({"workflow.yaml": workflow, **EVERYTHING})
    assert check(root) == []
    plan = load(root)
    assert set(plan.sections) == {Path(name).stem for name in EVERYTHING} - {"handlers", "agents", "tools"}
    assert plan.agents["a"].limits.cost == "0.1"
    assert plan.tools["m"].type == "mcp"
    assert plan.tools["m"].server == {"command": ["srv"], "credential": "k", "credential_env": "K"}


def test_models_without_any_section_to_name_them(write: Write, workflow: str, handlers: str) -> None:
    root = write({"workflow.yaml": workflow, "handlers.py": handlers, "agents.yaml": "- {id: a, model: fast}"})
    (problem,) = check(root)
    assert "neither models nor providers" in problem.message


POOL = """\
workflow:
  id: w
  nodes:
    - {id: start, kind: deterministic, role: start}
    - {id: write, kind: agent, role: linear, agent: writers}
    - {id: done, kind: deterministic, role: exit}
  edges: [{from: start, to: write}, {from: write, to: done}]
providers: [{id: local, type: offline}]
agents:
  - {id: quick, model: local/small}
  - {id: careful, model: local/large}
  - {id: writers, description: who writes, pool: [quick, careful]}
"""


def test_a_node_may_name_a_pool_wherever_an_agent(write: Write) -> None:
    root = write({"clew.yaml": POOL})
    assert check(root) == []
    plan = load(root)
    assert (plan.agents["writers"].pool, plan.agents["writers"].model) == (("quick", "careful"), "")
    assert plan.agents["quick"].pool == ()


def test_shipped_instructions_are_recorded_as_text(write: Write) -> None:
    root = write({"clew.yaml": POOL.replace("model: local/small", 'model: local/small, instructions: "clew:planner"')})
    assert "plan_milestones" in load(root).agents["quick"].instructions
