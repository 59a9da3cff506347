"""Parameters of a request as the library's settings; what a model does not take is left out.

``temperature top_p top_k seed max_tokens presence_penalty frequency_penalty logit_bias parallel_tool_calls tool_choice
service_tier thinking`` are passed to every model that takes them, ``stop`` (text or list) too. Names that begin with
``openai_``, ``anthropic_`` or ``google_`` are the library's own for that family (``openai_reasoning_effort``), and ignored by
the others. Any other name goes into the request's body as it is, where the protocol allows that (all but Gemini).
"""

from collections.abc import Mapping
from typing import Any

from pydantic_ai.models import Model
from pydantic_ai.profiles.anthropic import ANTHROPIC_SAMPLING_PARAMS
from pydantic_ai.profiles.openai import SAMPLING_PARAMS
from pydantic_ai.settings import ModelSettings

COMMON = frozenset({
    "temperature", "top_p", "top_k", "seed", "max_tokens", "presence_penalty", "frequency_penalty", "logit_bias",
    "parallel_tool_calls", "tool_choice", "service_tier", "thinking",
})  # fmt: skip
OWN_PREFIXES = ("openai_", "anthropic_", "google_")
OURS = frozenset({"timeout", "within", "offline"})
"""For the connection, the gateway and the offline provider: no provider is told."""
WITH_TOOLS = frozenset({"parallel_tool_calls", "tool_choice"})


def settings_of(model: Model[Any], parameters: Mapping[str, Any], *, tools: bool) -> ModelSettings:
    settings: dict[str, Any] = {}
    extra: dict[str, Any] = {}
    for name, value in parameters.items():
        if value is None or name in OURS:
            continue
        if name == "stop":
            settings["stop_sequences"] = [value] if isinstance(value, str) else value
        elif name in COMMON or name.startswith(OWN_PREFIXES):
            settings[name] = value
        else:
            extra[name] = value
    if extra:
        settings["extra_body"] = extra
    for name in _refused(model, settings) | (frozenset[str]() if tools else WITH_TOOLS):
        settings.pop(name, None)
    return ModelSettings(**settings)


def _refused(model: Model[Any], settings: Mapping[str, Any]) -> frozenset[str]:
    """The library leaves these out by itself, but with a warning."""
    profile: Mapping[str, Any] = model.profile
    refused = frozenset(model.unsupported_settings) | frozenset(profile.get("openai_unsupported_model_settings", ()))
    if profile.get("openai_supports_reasoning", False) and _reasons(profile, settings):
        refused |= frozenset(SAMPLING_PARAMS)
    if profile.get("anthropic_disallows_sampling_settings", False):
        refused |= frozenset(ANTHROPIC_SAMPLING_PARAMS)
    return refused


def _reasons(profile: Mapping[str, Any], settings: Mapping[str, Any]) -> bool:
    """Whether an OpenAI model thinks in this request, which excludes sampling parameters."""
    efforts = profile.get("openai_reasoning_efforts")
    may_not = "none" in efforts if efforts is not None else profile.get("openai_supports_reasoning_effort_none", False)
    if not may_not:
        return True
    if (effort := settings.get("openai_reasoning_effort")) is not None:
        return effort != "none"
    if (thinking := settings.get("thinking")) is not None:
        return thinking is not False or profile.get("thinking_always_enabled", False)
    return profile.get("thinking_enabled_by_default", False)
