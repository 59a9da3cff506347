import pytest

from clew.core.errors import Failure, NotFound
from clew.manifest.plan import load
from clew.models.catalog import Catalog, Choice, Logical, Provider, Rule, catalog_of
from clew.models.reuse import SameService, cached_models
from clew.testing import write_project

PROJECT = {
    "workflow": {
        "id": "w",
        "nodes": [{"id": "s", "kind": "deterministic", "role": "start"}, {"id": "e", "kind": "deterministic", "role": "exit"}],
        "edges": [{"from": "s", "to": "e"}],
    },
    "providers": [{"id": "main", "type": "openai"}, {"id": "house", "type": "ollama", "base_url": "http://127.0.0.1:1"}],
    "models": {"fast": {"use": ["main/small", "house/qwen3"], "cache": True}},
}  # fmt: skip


def catalog(**models):
    providers = {p: Provider(id=p, type="openai") for p in ("main", "house")}
    return Catalog(providers, {name: Logical(name=name, **fields) for name, fields in models.items()})


def test_only_cached_models_and_all_that_they_may_choose():
    found = cached_models(
        catalog(
            fast={"use": (Choice("main/small"),), "then": ("big",)},
            big={"use": (Choice("house/big"),), "cache": True},
            auto={"route": (Rule(use="fast"), Rule(use="main/other")), "cache": True},
        )
    )
    assert found == {"big": {"house/big"}, "auto": {"main/small", "house/big", "main/other"}}


def test_a_cycle_of_models_is_said():
    with pytest.raises(Failure):
        cached_models(catalog(a={"use": (Choice("b"),), "cache": True}, b={"use": (Choice("a"),)}))


@pytest.fixture
def plans(tmp_path):
    """A plan by what its first provider is; ``asked`` are the addresses that were read."""
    kept = {}
    asked = []

    async def plan(address):
        asked.append(address)
        if address not in kept:
            raise NotFound(address)
        return kept[address]

    def keep(address, **changed):
        folder = tmp_path / address
        folder.mkdir()
        providers = [{**PROJECT["providers"][0], **changed}, PROJECT["providers"][1]]
        kept[address] = load(write_project(folder, {**PROJECT, "providers": providers}))
        return kept[address]

    plan.keep, plan.asked = keep, asked
    return plan


async def test_the_present_plan_is_not_read_again(plans):
    same = SameService(catalog_of(plans.keep("now")), "now", plans)
    assert await same("now", "main/small")
    assert not await same("now", "gone/small")
    assert plans.asked == []


@pytest.mark.parametrize(
    ("changed", "answer"),
    [
        ({}, True),
        ({"prices": {"input": 1, "output": 1}}, True),
        ({"timeout": "9s"}, True),
        ({"type": "anthropic"}, False),
        ({"base_url": "http://127.0.0.1:9/v1"}, False),
        ({"config": {"organization": "other"}}, False),
    ],
    ids=str,
)
async def test_a_provider_that_became_another_is_not_the_same(plans, changed, answer):
    plans.keep("then", **changed)
    same = SameService(catalog_of(plans.keep("now")), "now", plans)
    assert await same("then", "main/small") is answer
    assert await same("then", "house/qwen3")
    assert plans.asked == ["then"], "a plan is read once"


async def test_a_plan_that_is_gone(plans):
    same = SameService(catalog_of(plans.keep("now")), "now", plans)
    assert not await same("never", "main/small")
