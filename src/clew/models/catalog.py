"""The declared providers and logical models of a plan, as typed data."""

from typing import Any, Literal

import msgspec

from clew.core.errors import UsageError
from clew.manifest.compiled import Plan
from clew.manifest.quantities import dollars, milliseconds

ProviderType = Literal["openai", "azure", "anthropic", "gemini", "ollama", "openai_compatible", "offline"]
Complexity = Literal["simple", "medium", "complex"]

TIMEOUT_MS = 120_000
FAILURES = 3
COOL_DOWN_MS = 30_000


class Prices(msgspec.Struct, frozen=True, kw_only=True):
    """US dollars for a million tokens, decimal text; None: not declared."""

    input: str | None = None
    output: str | None = None
    cached_input: str | None = None


class Provider(msgspec.Struct, frozen=True, kw_only=True):
    """A service that answers. ``failures`` in a row put a deployment aside for ``cool_down_ms``."""

    id: str
    type: ProviderType
    credential: str | None = None
    base_url: str | None = None
    api_version: str | None = None
    default_model: str | None = None
    timeout_ms: int = TIMEOUT_MS
    prices: Prices | None = None
    failures: int = FAILURES
    cool_down_ms: int = COOL_DOWN_MS
    config: dict[str, Any] = {}


class Choice(msgspec.Struct, frozen=True):
    """A model (logical, or ``provider/name``) and its share of the load."""

    model: str
    weight: int = 1


class Rule(msgspec.Struct, frozen=True, kw_only=True):
    """Applies where all that is given holds; a rule without conditions always does."""

    use: str
    complexity: Complexity | None = None
    kind: str | None = None


class Logical(msgspec.Struct, frozen=True, kw_only=True):
    """A model by its purpose: deployments, or rules that choose another logical model."""

    name: str
    use: tuple[Choice, ...] = ()
    strategy: Literal["fallback", "balance"] = "fallback"
    then: tuple[str, ...] = ()
    route: tuple[Rule, ...] = ()
    cache: bool = False


class Catalog(msgspec.Struct, frozen=True):
    providers: dict[str, Provider]
    models: dict[str, Logical]

    def deployment(self, name: str) -> tuple[Provider, str]:
        """Provider and model name of ``provider/name``. Raises UsageError for an unknown provider."""
        provider, slash, model = name.partition("/")
        if not slash or not model or provider not in self.providers:
            known = ", ".join([*self.models, *(f"{p}/…" for p in self.providers)]) or "none"
            raise UsageError(f"no model {name!r}; the project declares {known}")
        return self.providers[provider], model


def catalog_of(plan: Plan) -> Catalog:
    """What the plan declares; the manifests were checked when it was compiled."""
    credentials: dict[str, Any] = {c["id"]: c for c in plan.sections.get("provider_credentials", ())}
    providers = {p["id"]: _provider(p, credentials) for p in plan.sections.get("providers", ())}
    return Catalog(providers, {name: _logical(name, m) for name, m in plan.sections.get("models", {}).items()})


def _provider(section: dict[str, Any], credentials: dict[str, Any]) -> Provider:
    health: dict[str, Any] = section.get("health") or {}
    named = section.get("credential") or _credential_for(section["id"], credentials)
    credential: dict[str, Any] = credentials.get(named or "") or {}
    settings: dict[str, Any] = credential.get("config") or {}
    prices: dict[str, Any] | None = section.get("prices")
    return Provider(
        id=section["id"],
        type=section["type"],
        credential=named,
        base_url=section.get("base_url") or settings.get("base_url"),
        api_version=section.get("api_version"),
        default_model=section.get("default_model") or settings.get("default_model"),
        timeout_ms=milliseconds(section["timeout"]) if section.get("timeout") else TIMEOUT_MS,
        prices=Prices(**{k: dollars(v) for k, v in prices.items() if v is not None}) if prices else None,
        failures=health.get("failures") or FAILURES,
        cool_down_ms=milliseconds(health["cool_down"]) if health.get("cool_down") else COOL_DOWN_MS,
        config=section.get("config") or {},
    )


def _credential_for(provider: str, credentials: dict[str, Any]) -> str | None:
    """A credential may name its provider instead of being named by it."""
    return next((c["id"] for c in credentials.values() if c.get("provider") == provider), None)


def _logical(name: str, section: dict[str, Any]) -> Logical:
    return Logical(
        name=name,
        use=tuple(
            Choice(u) if isinstance(u, str) else Choice(u["model"], u.get("weight", 1))
            for u in section.get("use") or ()
        ),
        strategy=section.get("strategy") or "fallback",
        then=tuple(section.get("then") or ()),
        route=tuple(_rule(r) for r in section.get("route") or ()),
        cache=bool(section.get("cache")),
    )


def _rule(section: dict[str, Any]) -> Rule:
    when: dict[str, Any] = section.get("when") or {}
    return Rule(
        use=section.get("use") or section["otherwise"], complexity=when.get("complexity"), kind=when.get("kind")
    )
