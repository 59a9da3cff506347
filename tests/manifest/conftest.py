from collections.abc import Callable
from pathlib import Path
from tempfile import gettempdir

import pytest
from hypothesis.configuration import set_hypothesis_home_dir

set_hypothesis_home_dir(Path(gettempdir()) / "clew-hypothesis")  # nothing is left in the working directory

WORKFLOW = """\
id: w
nodes:
  - {id: start, kind: deterministic, role: start}
  - {id: work, kind: deterministic, role: linear, handler: "handlers:work"}
  - {id: done, kind: deterministic, role: exit}
edges:
  - {from: start, to: work}
  - {from: work, to: done}
"""

FULL = """\
workflow:
  id: triage
  nodes:
    - {id: start, kind: deterministic, role: start, schema_in: Ticket}
    - {id: classify, kind: agent, role: decision, agent: triager, context: none, schema_out: Route}
    - {id: answer, kind: agent, role: linear, agent: writer, context: docs, tools: [search_context], schema_out: Reply,
       retry: {max_attempts: 3, backoff: {initial: 1s, factor: 2, max: 30s}, on: [timeout, provider]}, timeout: 120s}
    - {id: parts, kind: deterministic, role: split, over: items}            # one subtask per item of output.items
    - {id: work, kind: deterministic, role: linear, handler: "handlers:work"}
    - {id: join, kind: deterministic, role: merge, handler: "handlers:join", on_failure: partial}
    - {id: sorry, kind: deterministic, role: linear, handler: "handlers:apologise"}
    - {id: done, kind: deterministic, role: exit}
    - {id: failed, kind: deterministic, role: exit, always_fail: true}
  edges:
    - {from: start, to: classify}
    - {from: classify, to: answer, label: question}
    - {from: classify, to: parts, label: batch}
    - {from: parts, to: work}
    - {from: work, to: join}
    - {from: join, to: done}
    - {from: answer, to: done}
    - {from: answer, to: sorry, on: failure}                                # an explicit fallback, not a hidden one
    - {from: sorry, to: failed}
providers:
  - {id: main, type: openai, credential: main_key}
  - {id: house, type: openai_compatible, base_url: "http://127.0.0.1:8000/v1", prices: {input: 0, output: 0}}
models:
  fast: {use: [main/gpt-5-mini, house/qwen3], strategy: fallback}
  strong: {use: [{model: main/gpt-5.2, weight: 3}, {model: house/big, weight: 1}], strategy: balance, then: [fast]}
  auto: {route: [{when: {complexity: simple}, use: fast}, {when: {kind: code}, use: strong}, {otherwise: strong}]}
provider_credentials:
  - {id: main_key, provider: main, auth: {type: api_key, source: env, env_var: OPENAI_API_KEY}}
agents:
  - {id: triager, model: fast, instructions: prompts/triager.md, limits: {steps: 4, cost: 0.05}}
  - {id: writer, model: strong, fallbacks: [fast], tools: [search_context]}
tools:
  - {id: search_context, type: builtin}
  - {id: read_file, type: builtin, permissions: {root: ., network: false, shell: false}, risk: low}
  - {id: lookup, handler: "handlers:lookup", inputs: {type: object, properties: {id: {type: string}}, required: [id]},
     repeat_safe: true}
memory:
  task_store: {backend: sqlite, retention: {max_items: 1000}}
  context_profiles: [{id: docs, max_tokens: 4000, retrieval_policy: hybrid, sources: [{store: project, tags: [docs]}]}]
"""

HANDLERS = """\
async def work(input, ctx):
    return input


def join(input, ctx):
    return input


def apologise(input, ctx):
    return {}


def lookup(arguments, ctx):
    return {}
"""

Write = Callable[[dict[str, str | bytes]], Path]


@pytest.fixture
def workflow() -> str:
    """A small correct ``workflow.yaml``; its handler is ``handlers:work``."""
    return WORKFLOW


@pytest.fixture
def handlers() -> str:
    return HANDLERS


@pytest.fixture
def full() -> str:
    """The example of the manual as one ``clew.yaml``."""
    return FULL


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Writes a project's files below a fresh directory."""

    def write_files(files: dict[str, str | bytes]) -> Path:
        root = tmp_path / "project"
        root.mkdir(exist_ok=True)
        for name, content in files.items():
            target = root / name
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(content.encode() if isinstance(content, str) else content)
        return root

    return write_files


@pytest.fixture
def full_project(write: Write, full: str, handlers: str) -> Path:
    return write(
        {
            "clew.yaml": full,
            "handlers.py": handlers,
            "prompts/triager.md": "Choose a route.\n",
            "schemas/Ticket.json": '{"type": "object"}',
            "schemas/Route.json": '{"type": "object", "required": ["route"]}',
            "schemas/Reply.json": '{"type": "object"}',
        }
    )


@pytest.fixture
def graph_project(write: Write) -> Callable[[list[str], list[str]], Path]:
    """A project from nodes as ``id role [more]`` and edges as ``from to [more]``."""

    def build(nodes: list[str], edges: list[str]) -> Path:
        lines = ["id: g", "nodes:"]
        for node in nodes:
            name, role, *more = node.split(" ", 2)
            lines.append(f"  - {{id: {name}, kind: deterministic, role: {role}{', ' if more else ''}{''.join(more)}}}")
        lines.append("edges:")
        for edge in edges:
            source, target, *more = edge.split(" ", 2)
            lines.append(f"  - {{from: {source}, to: {target}{', ' if more else ''}{''.join(more)}}}")
        return write({"workflow.yaml": "\n".join(lines) + "\n"})

    return build
