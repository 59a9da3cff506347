"""What the response cache must know of the catalogue: which deployments may have answered, and whether they are the same."""

from collections.abc import Awaitable, Callable
from typing import Any

from clew.core.errors import ClewError
from clew.manifest.compiled import Plan
from clew.models.catalog import Catalog, catalog_of
from clew.models.routing import deployments


def cached_models(catalog: Catalog) -> dict[str, frozenset[str]]:
    """Logical model that is cached -> the deployments (``provider/name``) that it may choose, through other models too.

    Raises Failure as ``routing.deployments`` does."""
    return {name: deployments(catalog, name) for name, model in catalog.models.items() if model.cache}


class SameService:
    """Whether a deployment of a recorded plan is the same service now: a provider may keep its id and become another.

    ``plans`` gives the plan of an address. Prices, credentials, timeouts and health do not count.
    """

    def __init__(self, catalog: Catalog, address: str, plans: Callable[[str], Awaitable[Plan]]) -> None:
        self._now = _services(catalog)
        self._then = {address: self._now}
        self._plans = plans

    async def __call__(self, plan: str, deployment: str) -> bool:
        """False also where the recorded plan cannot be read any more."""
        if plan not in self._then:
            try:
                self._then[plan] = _services(catalog_of(await self._plans(plan)))
            except ClewError:
                return False
        provider = deployment.partition("/")[0]
        return provider in self._now and self._now[provider] == self._then[plan].get(provider)


def _services(catalog: Catalog) -> dict[str, Any]:
    return {name: (p.type, p.base_url, p.api_version, p.config) for name, p in catalog.providers.items()}
