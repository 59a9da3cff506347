"""``evaluations``, ``plugins``, ``cli_profiles``, ``metrics``, ``artifacts``, ``deployment`` and ``crew``."""

from typing import Annotated, Any, Literal

from clew.manifest.models.base import (
    Bound,
    Count,
    DottedName,
    Duration,
    FilledText,
    HandlerRef,
    ModelRef,
    Name,
    Retention,
    Section,
    Share,
    Size,
    TaskMode,
)


class Check(Section, kw_only=True):
    """One thing a case is judged by."""

    type: Literal[
        "equals",
        "contains",
        "regex",
        "schema_valid",
        "status",
        "file_exists",
        "tool_called",
        "max_cost",
        "max_latency",
        "custom",
        "judge",
    ]
    """How it is judged."""
    path: FilledText | None = None
    """Dotted path in the output (default: the whole output)."""
    value: Any = None
    """What is expected: text, pattern, schema name, status, file, tool, amount or duration."""
    arguments: dict[str, Any] | None = None
    """``tool_called``: arguments that the call must have."""
    handler: HandlerRef | None = None
    """``custom``: ``module:function``."""
    metric: Literal["faithfulness", "relevance", "context_precision", "completeness"] | None = None
    """``judge``: what the judge looks at."""
    model: ModelRef | None = None
    """``judge``: the judge."""
    threshold: Share | None = None
    """``judge``: least score."""


class Case(Section, kw_only=True):
    """One input and what must come of it."""

    id: DottedName
    """Unique in the suite."""
    input: Any
    """Input of the run."""
    start: Name | None = None
    """Start node (default: the workflow's)."""
    expect: Annotated[list[Check], Bound(min_length=1)]
    """Checks; all must hold."""
    critical: bool = False
    """A profile that fails it is not promoted."""
    tags: list[FilledText] | None = None
    """To choose cases by."""


class Suite(Section):
    """Cases that are run together."""

    id: DottedName
    """Unique in the project."""
    description: FilledText | None = None
    """For readers."""
    cases: list[Case] | None = None
    """The cases."""
    files: list[FilledText] | None = None
    """Files with further cases, relative to the project."""


class Scenario(Section):
    """Cases run inside a sandbox against agent profiles."""

    id: DottedName
    """Unique in the project."""
    suite: DottedName
    """Suite to run."""
    profiles: list[DottedName] | None = None
    """Agents to run it against."""


class Online(Section):
    """Judging of runs in production."""

    sample: Share | None = None
    """Share of runs, chosen by run id (default 0.1)."""
    alert_below: Share | None = None
    """Mean score under which an alert is given."""


class Evaluations(Section):
    """Suites, gym and online evaluation."""

    suites: list[Suite] | None = None
    """Suites of cases."""
    gym: list[Scenario] | None = None
    """Scenarios."""
    online: Online | None = None
    """Judging in production."""


class Plugin(Section):
    """An observer of events; it cannot alter a run."""

    id: DottedName
    """Unique in the project; the entry point's name where no handler is given."""
    handler: HandlerRef | None = None
    """``module:function`` that is given each event."""
    events: list[FilledText] | None = None
    """Kinds of events it is given (default: all)."""
    queue: Count | None = None
    """Events that may wait for it; what is more is dropped and counted."""
    config: dict[str, Any] | None = None
    """Its settings."""


class Overrides(Section):
    """What a caller changes about a run; recorded in it."""

    model: ModelRef | None = None
    """Model instead of the agents' own."""
    parameters: dict[str, Any] | None = None
    """Model parameters."""
    memory: bool | None = None
    """Whether memory is used."""
    routing_hint: FilledText | None = None
    """For the model router."""
    safety: Literal["strict", "standard"] | None = None
    """How strict guards are."""
    verbosity: Literal["quiet", "normal", "verbose"] | None = None
    """How much is shown."""


class CliProfile(Section):
    """Settings of the command line under one name."""

    id: Name
    """Its name."""
    mode: TaskMode | None = None
    """Task mode."""
    overrides: Overrides | None = None
    """What it changes about runs."""
    commands: dict[str, FilledText] | None = None
    """Custom commands: name and the text it stands for."""


class Metrics(Section):
    """What is measured and where it goes."""

    prometheus: bool = False
    """Offer metrics in Prometheus format."""
    otlp_endpoint: FilledText | None = None
    """Address of an OpenTelemetry collector."""
    sample: Share | None = None
    """Share of runs that are traced (default 1)."""
    labels: dict[str, FilledText] | None = None
    """Added to everything."""


class ArtifactRule(Section, kw_only=True):
    """Retention of some artifacts."""

    node: Name | None = None
    """Only those of this node."""
    type: FilledText | None = None
    """Only those of this type."""
    retention: Retention
    """How long they are kept."""


class Artifacts(Section):
    """Stored outputs."""

    retention: Retention | None = None
    """How long artifacts are kept."""
    rules: list[ArtifactRule] | None = None
    """Exceptions; the first that applies counts."""
    max_size: Size | None = None
    """Largest single artifact."""


class Deployment(Section):
    """Where this runs; recorded in each run."""

    name: FilledText | None = None
    """Name of the installation."""
    environment: FilledText | None = None
    """Such as ``production``."""
    region: FilledText | None = None
    """Where it stands."""
    version: FilledText | None = None
    """Of the project."""
    labels: dict[str, FilledText] | None = None
    """Anything else."""


class CrewAgent(Section):
    """A member of the crew: a profile and what is different about it."""

    profile: DottedName
    """An agent of the project."""
    id: DottedName | None = None
    """Name in the crew (default: the profile's)."""
    count: Annotated[int, Bound(least=1, most=1000)] = 1
    """How many of it."""
    tools: list[DottedName] | None = None
    """Tools instead of the profile's."""
    env: dict[str, str] | None = None
    """Environment of its process; no secrets."""


class Network(Section):
    """What the members share."""

    bus: FilledText | None = None
    """Name of the crew's bus."""
    vector_namespace: FilledText | None = None
    """Context scope of the crew."""


class Lifecycle(Section):
    """When members sleep and when they are missed."""

    idle_ttl: Duration | None = None
    """Idle time after which a member hibernates (default 10m)."""
    heartbeat: Duration | None = None
    """Longest silence of a healthy member (default 30s)."""


class Crew(Section):
    """Agents that work together as processes of their own."""

    crew_id: DottedName
    """Its name."""
    agents: Annotated[list[CrewAgent], Bound(min_length=1)]
    """Its members."""
    network: Network | None = None
    """What they share."""
    lifecycle: Lifecycle | None = None
    """Sleep and health."""
