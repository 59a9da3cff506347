"""``providers``, ``models`` and ``provider_credentials``: where answers of models come from."""

from typing import Annotated, Any, Literal

from clew.manifest.models.base import Bound, Count, DottedName, Duration, FilledText, ModelRef, Money, Section


class Prices(Section):
    """US dollars for a million tokens, where the public price list does not know the model."""

    input: Money | None = None
    """Tokens in."""
    output: Money | None = None
    """Tokens out."""
    cached_input: Money | None = None
    """Tokens in that the provider had cached."""


class Health(Section):
    """When a failing deployment is left alone."""

    failures: Count | None = None
    """Failures in a row before it is left alone."""
    cool_down: Duration | None = None
    """For how long."""


class Provider(Section):
    """A service that answers model requests."""

    id: DottedName
    """Unique in the project."""
    type: Literal["openai", "azure", "anthropic", "gemini", "ollama", "openai_compatible", "offline"]
    """What it speaks; ``offline`` needs no key and is deterministic."""
    credential: DottedName | None = None
    """Id of one of ``provider_credentials``."""
    base_url: FilledText | None = None
    """Address, where it is not the provider's own."""
    api_version: FilledText | None = None
    """Azure only."""
    default_model: FilledText | None = None
    """Model that is meant where none is named."""
    timeout: Duration | None = None
    """For one request."""
    prices: Prices | None = None
    """Prices of its models."""
    health: Health | None = None
    """Cool-down after failures."""
    config: dict[str, Any] | None = None
    """Settings of the adapter."""


class WeightedModel(Section):
    """A deployment and its share of the load."""

    model: ModelRef
    """``provider/name``, or a logical model."""
    weight: Annotated[int, Bound(least=0, most=1_000_000)] = 1
    """Share, relative to the others."""


class Condition(Section):
    """What a request must be like for a rule to apply; all that is given must hold."""

    complexity: Literal["simple", "medium", "complex"] | None = None
    """Complexity of the request."""
    kind: FilledText | None = None
    """Kind of the request, such as ``code``."""


class Rule(Section):
    """One routing rule; the first that applies is taken."""

    when: Condition | None = None
    """Condition of the rule."""
    use: ModelRef | None = None
    """Model that it chooses."""
    otherwise: ModelRef | None = None
    """Model that is chosen when no rule applied; stands last, alone."""


class LogicalModel(Section):
    """A model by its purpose: deployments (``use``) or rules (``route``)."""

    use: Annotated[list[ModelRef | WeightedModel], Bound(min_length=1)] | None = None
    """Deployments."""
    strategy: Literal["fallback", "balance"] | None = None
    """In order, the next when one fails (default), or shared by weight."""
    then: list[ModelRef] | None = None
    """Models to try when none of them answers."""
    route: Annotated[list[Rule], Bound(min_length=1)] | None = None
    """Rules that choose a model by the request."""
    cache: bool = False
    """Answer a repeated request from the cache."""


class Auth(Section, kw_only=True):
    """Where the secret is; never the secret itself."""

    type: Literal["api_key"] = "api_key"
    """Kind of secret."""
    source: Literal["env", "file"]
    """Environment variable or file."""
    env_var: Annotated[str, Bound(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$", what="a variable's name")] | None = None
    """Name of the variable."""
    file_path: FilledText | None = None
    """File that nobody else can read."""
    file_key: FilledText | None = None
    """Key in the file, where it is JSON or YAML."""


class CredentialConfig(Section):
    """Settings that go with the credential."""

    base_url: FilledText | None = None
    """Address to use with it."""
    default_model: FilledText | None = None
    """Model to use with it."""


class Credential(Section, kw_only=True):
    """A secret by reference."""

    id: DottedName
    """What providers and tools name."""
    provider: DottedName | None = None
    """Provider it is for."""
    auth: Auth
    """Where the secret is."""
    config: CredentialConfig | None = None
    """Settings that go with it."""
