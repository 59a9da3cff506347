"""The table of sections, and the spellings of earlier engines that are read as well."""

from typing import Any

from msgspec import field

from clew.manifest.models import agents as work
from clew.manifest.models import gateway, governance, operation
from clew.manifest.models import workflow as flow
from clew.manifest.models.base import DottedName, Section


class Project(Section):
    """One ``clew.yaml``: every section under its name. Each may be a file of its own instead."""

    workflow: flow.Workflow
    """Nodes and edges. The only section that must be given."""
    agents: list[work.Agent] = field(default_factory=list[work.Agent])
    """Agents that nodes name."""
    tools: list[work.Tool] = field(default_factory=list[work.Tool])
    """Tools that nodes and agents may be allowed."""
    memory: work.Memory | None = None
    """Stores, context profiles, search."""
    policy: governance.Policy | None = None
    """Rules, guards, budgets and limits."""
    providers: list[gateway.Provider] = field(default_factory=list[gateway.Provider])
    """Services that answer model requests."""
    models: dict[DottedName, gateway.LogicalModel] = field(default_factory=dict[DottedName, gateway.LogicalModel])
    """Models by their purpose."""
    provider_credentials: list[gateway.Credential] = field(default_factory=list[gateway.Credential])
    """Secrets by reference."""
    scheduler: governance.Scheduler | None = None
    """Queued runs."""
    evaluations: operation.Evaluations | None = None
    """Suites, gym and online evaluation."""
    plugins: list[operation.Plugin] = field(default_factory=list[operation.Plugin])
    """Observers of events."""
    cli_profiles: list[operation.CliProfile] = field(default_factory=list[operation.CliProfile])
    """Settings of the command line."""
    metrics: operation.Metrics | None = None
    """Metrics and traces."""
    artifacts: operation.Artifacts | None = None
    """Retention of stored outputs."""
    deployment: operation.Deployment | None = None
    """Where this runs."""
    crew: operation.Crew | None = None
    """Agents as processes of their own."""


SECTIONS: tuple[str, ...] = Project.__struct_fields__

ALIASES: dict[type, dict[str, str]] = {
    flow.NodeModel: {
        "agent_id": "agent",
        "inputs_schema_id": "schema_in",
        "outputs_schema_id": "schema_out",
    },
    flow.EdgeModel: {"condition": "label"},
    work.Agent: {"llm": "model", "inputs_schema_id": "schema_in", "outputs_schema_id": "schema_out"},
    work.Tool: {"inputs_schema_id": "inputs", "outputs_schema_id": "outputs"},
}
"""Model -> the spelling that is read -> the spelling that is written."""

VALUE_ALIASES: dict[tuple[type, str], dict[Any, Any]] = {(work.Store, "backend"): {"jsonl": "file"}}
"""Model and field -> the value that is read -> the value that is written."""
