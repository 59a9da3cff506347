"""``policy`` and ``scheduler``: what is allowed, how much, and when."""

from typing import Annotated, Literal

from clew.manifest.models.base import Bound, Count, DottedName, Duration, FilledText, Money, Retention, Section, Share


class PolicyRule(Section):
    """One decision about one target."""

    target: Literal["tool", "context", "node", "model"]
    """Kind of target."""
    target_id: DottedName | Literal["*"]
    """Its id, or ``*`` for all."""
    action: Literal["allow", "deny", "require_approval"]
    """The decision."""
    reason: FilledText | None = None
    """Shown and logged with it."""


class Rego(Section):
    """Policies in Rego, in process or on a server."""

    files: list[FilledText] | None = None
    """Policy files, relative to the project."""
    server: FilledText | None = None
    """Address of an OPA server."""


class Budgets(Section):
    """US dollars that may be spent before a run waits."""

    session: Money | None = None
    """Per session (default 2)."""
    user_day: Money | None = None
    """Per user and day (default 10)."""
    run: Money | None = None
    """Per run."""
    tenant: Money | None = None
    """Per tenant."""
    run_tokens: Count | None = None
    """Tokens per run."""
    run_time: Duration | None = None
    """Running time per run."""
    alert_at: Share | None = None
    """Share at which an alert is given (default 0.8)."""


class RateLimits(Section):
    """Submitted runs and API requests."""

    user_minute: Count | None = None
    """Per user and minute (default 10)."""
    user_hour: Count | None = None
    """Per user and hour (default 100)."""
    tenant_hour: Count | None = None
    """Per tenant and hour (default 1000)."""
    session_hour: Count | None = None
    """Per session and hour (default 50)."""


class CustomPattern(Section):
    """A further kind of personal data."""

    id: DottedName
    """What the audit calls it."""
    pattern: FilledText
    """Regular expression."""


class InputGuard(Section):
    """What is stopped before it reaches a model."""

    injection: bool = True
    """Prompt injection and jailbreaks."""
    pii: bool = True
    """Personal data."""
    patterns: list[CustomPattern] | None = None
    """Further kinds of personal data."""


class OutputGuard(Section):
    """What is checked before an answer is used."""

    grounding: Share | None = None
    """Least share of the answer that the context supports (default 0.7)."""
    topics: list[FilledText] | None = None
    """Topics that are refused, such as ``financial`` or ``medical``."""
    on_flag: Literal["sanitise", "review"] | None = None
    """What happens to a flagged answer."""


class Breaker(Section):
    """When a session is handed to a human."""

    failures: Count | None = None
    """Failures in a row (default 3)."""
    confidence: Share | None = None
    """Least confidence (default 0.5)."""


class Redaction(Section):
    """What never shows in logs, traces, events and exports."""

    fields: list[FilledText] | None = None
    """Names of fields."""
    prefixes: list[FilledText] | None = None
    """Beginnings of secrets."""


class Policy(Section):
    """Rules, guards, budgets and limits."""

    rules: list[PolicyRule] | None = None
    """Decisions in order; the first that applies counts."""
    rego: Rego | None = None
    """Policies in Rego."""
    budgets: Budgets | None = None
    """Money, tokens and time."""
    rate_limits: RateLimits | None = None
    """Submissions."""
    input_guard: InputGuard | None = None
    """Before the model."""
    output_guard: OutputGuard | None = None
    """After the model."""
    breaker: Breaker | None = None
    """Escalation."""
    redact: Redaction | None = None
    """Secrets and fields."""


class DeadLetter(Section):
    """Tasks that are given up."""

    retention: Retention | None = None
    """How long they are kept."""


class Scheduler(Section):
    """Queued runs."""

    max_concurrency: Annotated[int, Bound(least=1, most=10_000)] | None = None
    """Queued runs at once (default 1)."""
    max_queue_size: Count | None = None
    """A longer queue refuses."""
    dead_letter: DeadLetter | None = None
    """Tasks that are given up."""
