import msgspec
import pytest

from clew.core import events as ev


@pytest.mark.parametrize("fact", ev.Fact.__args__, ids=lambda f: f.__name__)
def test_facts_are_frozen_and_say_what_they_are(fact):
    config = fact.__struct_config__
    assert config.frozen
    assert config.tag == fact.__name__


def test_fields_that_came_later_have_defaults():
    """The first fields of each fact are those that every recorded history has; adding a field without a default breaks them."""
    required = {f.__name__: [x.name for x in msgspec.structs.fields(f) if x.required] for f in ev.Fact.__args__}
    assert required == {
        "RunStarted": ["run", "workflow", "plan", "start"],
        "DriverStarted": ["owner", "epoch"],
        "DriverStopped": [],
        "NodeStarted": ["task", "node", "attempt"],
        "NodeCompleted": ["task", "node", "attempt"],
        "NodeFailed": ["task", "node", "attempt", "code"],
        "NodeSuspended": ["task", "node", "attempt"],
        "NodeStopped": ["task", "node", "attempt"],
        "EffectStarted": ["key", "kind", "name", "digest", "task", "node"],
        "EffectFinished": ["key", "kind", "name", "digest", "task", "node"],
        "RunPaused": [],
        "RunUnpaused": [],
        "StopRequested": [],
        "RunFinished": ["state"],
        "PayloadsErased": ["seqs"],
        "Noted": ["name"],
    }


def test_the_seed_is_fixed_by_default():
    assert ev.RunStarted(run="r", workflow="w", plan="", start="s").seed == 0
