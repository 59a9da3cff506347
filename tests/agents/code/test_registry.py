"""The code agents by name: a relative repository is where the work began, and a result is the payload of an envelope."""

import pytest

from clew.agents.code import registry
from clew.core.errors import Failure, NotFound


class Here:
    """A seat whose effects were recorded somewhere else."""

    lint = None

    def __init__(self, recorded):
        self.recorded, self.did = recorded, []

    async def do(self, name, job, *args):
        self.did.append((name, *args))
        return self.recorded if name == "repository" else job(None, *args)


async def test_a_relative_repository_is_the_one_where_the_work_began(tmp_path, monkeypatch):
    (tmp_path / "long.py").write_text("X = 1\n" * 600)
    seat = Here(str(tmp_path))
    told = await registry.perform("DesignReview", {}, seat)
    assert (told["agent"], told["findings"][0]["location"]) == ("DesignReview", "long.py")
    assert seat.did == [("repository", "."), ("measure", {"repo": str(tmp_path)})]
    monkeypatch.chdir(tmp_path)
    seat = Here("")
    await registry.perform("DesignReview", {"repo": str(tmp_path)}, seat)
    assert [name for name, *_ in seat.did] == ["measure"]


@pytest.mark.parametrize("payload", [None, [], {"repo": 7}, {"changes": []}])
async def test_a_wrong_payload_does_nothing(payload):
    seat = Here("")
    with pytest.raises(Failure) as failed:
        await registry.perform("DesignReview", payload, seat)
    assert (failed.value.code, seat.did) == ("invalid_payload", [])


async def test_an_unknown_agent():
    with pytest.raises(NotFound, match="Planning"):
        await registry.perform("Plan", {}, Here(""))


def test_new_tasks_are_no_part_of_the_artifact():
    new = [{"agent": "CodeGen", "payload": {}}]
    told = registry.envelope_payload({"agent": "Planning", "summary": "two", "newTasks": new})
    assert told == {
        "delta": {"summary": "two"},
        "artifacts": [{"agent": "Planning", "summary": "two"}],
        "newTasks": new,
    }
