"""What a model call cost: declared prices first, else the public price list (genai-prices, as installed; no network).

A price that is not known is never zero: the cost is then ``""`` and the warning names what to declare. Prices that hold for
a time (a list price that changed, cheaper hours) are taken as of the call. Not told apart, since providers' usage is not:
cache writes by how long they live (the ordinary price is taken), tokens of pictures or sound, searches by the provider.
"""

import logging
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Context, Decimal, localcontext
from functools import cache
from importlib import import_module
from typing import Any

import msgspec

from clew.core.errors import described
from clew.gate.ports.model import Usage
from clew.models.catalog import Prices, Provider

logger = logging.getLogger("clew.models")

LIBRARY = "genai_prices"
"""Imported with the first call that no declared price covers."""

LISTS = {"openai": "openai", "azure": "azure", "anthropic": "anthropic", "gemini": "google"}
"""Provider type -> whose list prices hold. Types that are not here may be anybody: ``openai_compatible`` is looked up by its
``base_url`` (Groq, DeepSeek, OpenRouter …), and what runs at an address that no list knows has no price but a declared one."""

_EXACT = Context(prec=60)
_MTOK = 1_000_000
_MOST = Decimal(10_000)
"""Dollars. A call that seems to cost more was told nonsense about its tokens, and would overflow the journal's sums."""


class Priced(msgspec.Struct, frozen=True, kw_only=True):
    """``cost``: US dollars as plain decimal text, exact; ``""``: not known, and ``warning`` says why and what to do.

    ``source``: ``declared``, ``offline``, or the price list with its entry; ``""`` for an unknown cost.
    """

    cost: str = ""
    source: str = ""
    warning: str = ""


Price = Callable[[Provider, str, Usage, int], Priced]
"""Provider, its model, tokens, ms since the epoch."""

_warned: set[str] = set()
"""Deployments whose missing price was logged: once in a process."""


class Pricer:
    """Prices calls. Never raises for what a provider or a model's name may be."""

    def __call__(self, provider: Provider, model: str, usage: Usage, at_ms: int) -> Priced:
        """``at_ms``: when the call was made, milliseconds since 1970."""
        if provider.type == "offline":
            return Priced(cost="0", source="offline")
        if provider.prices is not None and _free(provider.prices):
            return Priced(cost="0", source="declared")
        if min(msgspec.structs.astuple(usage)) < 0:
            return _unknown(provider, model, "the provider reported a negative number of tokens", counted=False)
        usage = _consistent(usage)
        if not usage.input_tokens and not usage.output_tokens:
            return _unknown(provider, model, "the provider did not say how many tokens it used", counted=False)
        with localcontext(_EXACT):
            amount, source = (
                _declared(provider.prices, usage) if provider.prices else _listed(provider, model, usage, at_ms)
            )
        if amount is None:
            return _unknown(provider, model, source)
        if amount >= _MOST:
            why = f"{usage.input_tokens} tokens in and {usage.output_tokens} out cannot be"
            return _unknown(provider, model, why, counted=False)
        return Priced(cost=_plain(amount), source=source)


def priced(price: Price, deployment: tuple[Provider, str], usage: Usage, at_ms: int) -> Priced:
    """A fault in a price list must not lose an answer that was paid for."""
    provider, model = deployment
    try:
        return price(provider, model, usage, at_ms)
    except Exception as error:
        return Priced(warning=f"the price of {model} could not be worked out: {described(error)}")


def priced_note(name: str, found: Priced) -> dict[str, Any]:
    """A price as it is noted with an outcome of deployment ``name``; what is wrong with it is logged, once."""
    note = {"cost": found.cost, "source": found.source}
    if not found.warning:
        return note
    if name not in _warned:
        _warned.add(name)
        logger.warning("%s: %s", name, found.warning)
    return note | {"warning": found.warning}


def _free(prices: Prices) -> bool:
    return prices.input == prices.output == "0" and prices.cached_input in (None, "0")


def _consistent(usage: Usage) -> Usage:
    """Some servers leave cached tokens out of the input, or reasoning out of the output: the whole is at least its parts."""
    return msgspec.structs.replace(
        usage,
        input_tokens=max(usage.input_tokens, usage.cache_read_tokens + usage.cache_write_tokens),
        output_tokens=max(usage.output_tokens, usage.reasoning_tokens),
    )


def _declared(prices: Prices, usage: Usage) -> tuple[Decimal | None, str]:
    """Amount and source, or None and what is missing. Cache writes are paid as input, and reads where nothing else is said."""
    cached = 0 if prices.cached_input is None else usage.cache_read_tokens
    counts = {"input": usage.input_tokens - cached, "output": usage.output_tokens, "cached_input": cached}
    total = Decimal(0)
    for key, count in counts.items():
        price = getattr(prices, key)
        if price is None and count:
            return None, f"`prices` does not say {key!r}"
        total += Decimal(price or 0) * count
    return total / _MTOK, "declared"


def _listed(provider: Provider, model: str, usage: Usage, at_ms: int) -> tuple[Decimal | None, str]:
    """Amount and source, or None and why there is none."""
    where: dict[str, str] = {}
    if provider.type in LISTS:
        where["provider_id"] = LISTS[provider.type]
    elif provider.base_url:
        where["provider_api_url"] = provider.base_url
    if not where:
        return None, f"what {provider.type} answers from has no list price"
    try:
        library = _library()
        counts: dict[str, int] = msgspec.structs.asdict(usage)
        counts["output_reasoning_tokens"] = counts.pop("reasoning_tokens")
        moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=at_ms)
        found = library.calc_price(library.Usage(**counts), model, **where, genai_request_timestamp=moment)
    except ImportError:
        return None, "the price list (genai-prices) is not installed"
    except (LookupError, ValueError):
        return None, "it is not in the price list"
    prices = found.model_price
    if (usage.input_tokens and prices.input_mtok is None) or (usage.output_tokens and prices.output_mtok is None):
        return None, "the price list names the model without a price"
    return found.total_price, f"genai-prices {library.__version__}: {found.provider.id}/{found.model.id}"


@cache
def _library() -> Any:
    return import_module(LIBRARY)


def _unknown(provider: Provider, model: str, why: str, *, counted: bool = True) -> Priced:
    """``counted``: the tokens are known. Where they are not, no other price than 0 helps."""
    warning = f"the cost of {provider.id}/{model} is not known: {why}"
    if counted or provider.prices is None:
        warning += (
            f"; declare it in `providers`: {{id: {provider.id}, prices: {{input: …, output: …}}}}"
            " (US dollars per million tokens, 0 for none)"
        )
    return Priced(warning=warning)


def _plain(amount: Decimal) -> str:
    text = f"{amount:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
