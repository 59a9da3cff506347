import pytest

from clew.core.errors import UsageError
from clew.manifest.plan import load
from clew.models.catalog import COOL_DOWN_MS, FAILURES, TIMEOUT_MS, Choice, Rule, catalog_of
from clew.testing import write_project

PROJECT = {
    "workflow": {
        "id": "w",
        "nodes": [{"id": "s", "kind": "deterministic", "role": "start"}, {"id": "e", "kind": "deterministic", "role": "exit"}],
        "edges": [{"from": "s", "to": "e"}],
    },
    "providers": [
        {"id": "main", "type": "openai", "credential": "key", "timeout": "30s", "health": {"failures": 5, "cool_down": "2m"}},
        {"id": "house", "type": "openai_compatible", "base_url": "http://127.0.0.1:1/v1", "prices": {"input": 0, "output": "0.5"}},
        {"id": "claude", "type": "anthropic"},
    ],
    "provider_credentials": [
        {"id": "key", "auth": {"source": "env", "env_var": "K"}, "config": {"base_url": "http://127.0.0.1:2"}},
        {"id": "other", "provider": "claude", "auth": {"source": "env", "env_var": "K"}},
    ],
    "models": {
        "fast": {"use": ["main/small", "house/qwen3"], "cache": True},
        "strong": {"use": [{"model": "main/big", "weight": 3}, "house/big"], "strategy": "balance", "then": ["fast"]},
        "auto": {"route": [{"when": {"complexity": "simple"}, "use": "fast"}, {"otherwise": "strong"}]},
    },
}  # fmt: skip


def test_declared_values_and_defaults(tmp_path):
    catalog = catalog_of(load(write_project(tmp_path, PROJECT)))
    main, house, claude = (catalog.providers[p] for p in ("main", "house", "claude"))
    assert (main.timeout_ms, main.failures, main.cool_down_ms) == (30_000, 5, 120_000)
    assert (house.timeout_ms, house.failures, house.cool_down_ms) == (TIMEOUT_MS, FAILURES, COOL_DOWN_MS)
    assert main.base_url == "http://127.0.0.1:2", "a credential's address is its provider's where that has none"
    assert claude.credential == "other", "a credential may name its provider"
    assert house.prices is not None
    assert (house.prices.input, house.prices.output, house.prices.cached_input) == ("0", "0.5", None)


def test_logical_models(tmp_path):
    models = catalog_of(load(write_project(tmp_path, PROJECT))).models
    assert models["fast"].use == (Choice("main/small"), Choice("house/qwen3"))
    assert models["fast"].cache
    assert models["strong"].use == (Choice("main/big", 3), Choice("house/big"))
    assert (models["strong"].strategy, models["strong"].then) == ("balance", ("fast",))
    assert models["auto"].route == (Rule(use="fast", complexity="simple"), Rule(use="strong"))


def test_a_deployment_is_found_by_name(tmp_path):
    catalog = catalog_of(load(write_project(tmp_path, PROJECT)))
    provider, model = catalog.deployment("house/org/qwen3")
    assert (provider.id, model) == ("house", "org/qwen3")
    for wrong in ("nowhere/x", "main/", "x", ""):
        with pytest.raises(UsageError, match="declares fast"):
            catalog.deployment(wrong)
