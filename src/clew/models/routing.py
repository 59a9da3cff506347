"""From a logical model to deployments in the order in which they are to be asked, and why.

Depth first: the rules of a model (``route``; the first that applies) choose another; else its ``use``, each expanded in turn;
then its ``then``; last the ``fallbacks`` of the request. Who stands in the list twice keeps the first place.

``use`` is in declared order (``fallback``), or (``balance``) the first is drawn by weight and the rest follow, cheapest first
and where prices are equal or unknown in the order of further draws. Price decides nothing else: who wants the cheap model first
declares it first, or routes to it. A draw is a function of the effect's key, so the load is spread and a repeated call
is asked of the same deployment. An agent's turns draw together and are judged by their opening: the provider's prompt cache
knows the conversation.
"""

from collections.abc import Callable, Sequence
from decimal import Decimal
from functools import cached_property

import msgspec

from clew.core.errors import Failure, UsageError
from clew.core.identity import digest
from clew.gate.effect import Effect
from clew.gate.ports.model import ModelRequest
from clew.models.catalog import Catalog, Choice, Logical, Rule
from clew.models.complexity import Verdict, classify

PriceOf = Callable[[str], Decimal | None]
"""Price of a deployment, comparable with other deployments'; None: not known."""


class Decision(msgspec.Struct, frozen=True):
    """``chain``: deployments ``provider/name``. ``verdict`` only where a rule asked for it."""

    chain: tuple[str, ...]
    why: tuple[str, ...]
    verdict: Verdict | None


def decide(catalog: Catalog, effect: Effect, request: ModelRequest, price_of: PriceOf) -> Decision:
    """Where to ask for ``request``. Raises Failure: ``unknown_model``, ``model_cycle``, ``no_route``."""
    judged = _opening(request) if effect.agent else request
    walk = _Walk(catalog, judged, draw_key(effect), price_of)
    chain = list(walk.expand(request.model, ()))
    for name in request.fallbacks:
        chain += walk.expand(name, ())
    if not chain:
        raise Failure(
            f"model {request.model!r}: {'; '.join(walk.why)}",
            code="no_route",
            hint="end its rules with {otherwise: MODEL}",
        )
    return Decision(tuple(dict.fromkeys(chain)), tuple(walk.why), walk.seen)


def deployments(catalog: Catalog, name: str) -> frozenset[str]:
    """Every deployment that a request for ``name`` may be answered by, whatever the request.

    Raises Failure: ``unknown_model``, ``model_cycle``.
    """
    found: dict[str, frozenset[str]] = {}
    return _reachable(catalog, name, (), found)


def draw_key(effect: Effect) -> str:
    """What the draw depends on: the effect, or where an agent asks, the body that its turns belong to."""
    key = effect.outward_key
    return key.rpartition("/")[0] if effect.agent else key


def drawn(choices: Sequence[Choice], key: str) -> list[Choice]:
    """``choices`` in an order in which each is first in proportion to its weight; weight 0: last."""
    left = list(choices)
    number = int(digest(key), 16)
    order: list[Choice] = []
    while total := sum(choice.weight for choice in left):
        number, point = divmod(number, total)
        chosen = 0
        while point >= left[chosen].weight:
            point -= left[chosen].weight
            chosen += 1
        order.append(left.pop(chosen))
    return order + left


def _opening(request: ModelRequest) -> ModelRequest:
    """The request as its conversation began: an agent's turns are judged alike, whatever a tool or a correction said since."""
    turns = [message.role for message in request.messages]
    end = turns.index("assistant") if "assistant" in turns else len(turns)
    return msgspec.structs.replace(request, messages=request.messages[:end])


class _Walk:
    """One expansion. ``why`` grows as it goes."""

    def __init__(self, catalog: Catalog, request: ModelRequest, key: str, price_of: PriceOf) -> None:
        self._catalog, self._request, self._key, self._price_of = catalog, request, key, price_of
        self._done: dict[str, list[str]] = {}
        self.why: list[str] = []
        self.seen: Verdict | None = None

    def expand(self, name: str, path: tuple[str, ...]) -> list[str]:
        if name in self._done:
            return self._done[name]
        model = _model(self._catalog, name, path)
        if model is None:
            return [name]
        path = (*path, name)
        chain = self._ruled(model, path) if model.route else self._used(model, path)
        chain = [*chain, *(found for further in model.then for found in self.expand(further, path))]
        self._done[name] = list(dict.fromkeys(chain))
        return self._done[name]

    def _ruled(self, model: Logical, path: tuple[str, ...]) -> list[str]:
        verdict = self._verdict
        for number, rule in enumerate(model.route, 1):
            if rule.complexity in (None, verdict.complexity) and rule.kind in (None, verdict.kind):
                self.why.append(f"{model.name}: rule {number} ({_terms(rule)}) chose {rule.use}")
                return self.expand(rule.use, path)
        self.why.append(f"{model.name}: no rule is for a {verdict.complexity} request of kind {verdict.kind}")
        return []

    def _used(self, model: Logical, path: tuple[str, ...]) -> list[str]:
        balanced = model.strategy == "balance" and len(model.use) > 1
        order = drawn(model.use, f"{self._key}\n{model.name}") if balanced else list(model.use)
        expanded = [self.expand(choice.model, path) for choice in order]
        if balanced:
            first, *rest = expanded
            expanded = [first, *sorted(rest, key=self._dear)]
            self.why.append(f"{model.name}: {order[0].model} was drawn by weight")
        elif len(order) > 1:
            self.why.append(f"{model.name}: {order[0].model} is declared first")
        return [name for names in expanded for name in names]

    def _dear(self, names: list[str]) -> tuple[bool, Decimal]:
        price = self._price_of(names[0]) if names else None
        return price is None, price or Decimal(0)

    @cached_property
    def _verdict(self) -> Verdict:
        self.seen = classify(self._request)
        return self.seen


def _model(catalog: Catalog, name: str, path: tuple[str, ...]) -> Logical | None:
    """The logical model of that name; None: it is a deployment."""
    if name in path:
        circle = " → ".join([*path[path.index(name) :], name])
        raise Failure(
            f"models name each other in a circle: {circle}", code="model_cycle", hint="see the models section"
        )
    model = catalog.models.get(name)
    if model is None:
        try:
            catalog.deployment(name)
        except UsageError as error:
            raise Failure(str(error), code="unknown_model") from None
    return model


def _reachable(catalog: Catalog, name: str, path: tuple[str, ...], found: dict[str, frozenset[str]]) -> frozenset[str]:
    if name not in found:
        model = _model(catalog, name, path)
        if model is None:
            return frozenset({name})
        named = [*(rule.use for rule in model.route), *(choice.model for choice in model.use), *model.then]
        found[name] = frozenset[str]().union(*(_reachable(catalog, other, (*path, name), found) for other in named))
    return found[name]


def _terms(rule: Rule) -> str:
    terms = [f"{name} {value}" for name, value in (("complexity", rule.complexity), ("kind", rule.kind)) if value]
    return ", ".join(terms) or "otherwise"
