"""Task modes (W14): what each takes away."""

import pytest

from clew.gate.door import Door
from clew.gate.effect import Effect
from clew.policies.modes import TAKEN, Modes
from clew.testing import MemoryRecord, ScriptedDriver


@pytest.mark.parametrize(
    ("mode", "taken"),
    [
        ("implement", set()),
        ("analysis_only", {"mutate"}),
        ("review", {"mutate"}),
        ("dry_run", {"mutate"}),
        ("safe_mode", {"mutate", "network", "shell"}),
    ],
)
async def test_a_mode_denies_what_it_takes_away_and_nothing_else(mode, taken):
    for need in ("mutate", "network", "shell", None):
        record, driver = MemoryRecord(mode=mode), ScriptedDriver("done")
        effect = Effect(
            key="k", kind="tool", name="write", request={}, task="0", node="a", needs=(need,) if need else ()
        )
        outcome = await Door(record, (Modes(),), {"tool": driver}).perform(effect)
        if need in taken:
            assert (outcome.status, outcome.error["code"], driver.seen) == ("denied", "denied", [])
            assert f"'write' needs {need}; mode {mode} forbids it" in outcome.error["message"]
        else:
            assert outcome.output == "done"


def test_every_mode_of_the_contract_is_known():
    assert set(TAKEN) == {"implement", "analysis_only", "review", "dry_run", "safe_mode"}
