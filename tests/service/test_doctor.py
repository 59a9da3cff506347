import shutil
from importlib import metadata
from types import SimpleNamespace

import pytest

from clew.core.errors import Failure
from clew.gate.ports.sandbox import Capabilities
from clew.sandbox import languages
from clew.service import doctor
from clew.service.doctor import Check, examine, status_of
from clew.service.engine import AsyncEngine
from clew.service.settings import MEMORY, Settings


class Surroundings:
    def __init__(self, **fields):
        self.found = Capabilities(name="native", **fields)

    def probe(self):
        return self.found


@pytest.fixture(autouse=True)
def _no_sandbox(monkeypatch):
    monkeypatch.setattr(doctor, "sandbox_of", lambda _: Surroundings(usable=True))


async def looked(settings, name):
    return next(c for c in await examine(settings) if c.name == name)


async def test_nothing_kept_yet_is_healthy_and_leaves_nothing_behind(tmp_path):
    checks = await examine(Settings(state=str(tmp_path / "state")))
    assert status_of([c for c in checks if c.name != "disk"]) == "healthy"
    assert list(tmp_path.iterdir()) == []
    assert status_of(await examine(Settings(state=MEMORY))) in ("healthy", "degraded")


async def test_a_state_directory_with_runs(solo, tmp_path):
    engine = solo("async def a(input, ctx):\n    return 1\n", sections={})
    durable = AsyncEngine(engine.plan, engine.directory, Settings(state=str(tmp_path / "state")))
    await durable.run({})
    await durable.close()
    settings = Settings(state=str(tmp_path / "state"))
    assert "1 runs" in (await looked(settings, "state")).message
    assert (await looked(settings, "permissions")).verdict == "ok"
    (tmp_path / "state").chmod(0o755)
    assert (await looked(settings, "permissions")).verdict == "degraded"
    (tmp_path / "state" / "crash-1.txt").write_text("")
    assert "1 reports" in (await looked(settings, "crashes")).message


async def test_a_damaged_journal_is_unhealthy(tmp_path):
    (tmp_path / "journal.db").write_text("junk" * 2000)
    assert (await looked(Settings(state=str(tmp_path)), "state")).verdict == "failed"


@pytest.mark.parametrize(("free", "verdict"), [(1 << 40, "ok"), (1 << 29, "degraded"), (1 << 20, "failed")])
async def test_disk_space(tmp_path, monkeypatch, free, verdict):
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=free))
    assert (await looked(Settings(state=str(tmp_path)), "disk")).verdict == verdict


async def test_dependencies_that_are_missing_or_old(tmp_path, monkeypatch):
    monkeypatch.setattr(metadata, "requires", lambda name: ["click>=999", "no-such-thing>=1", 'x>=1; extra == "dev"'])
    checks = {c.name: c for c in await examine(Settings(state=str(tmp_path)))}
    assert checks["click"].verdict == "failed"
    assert checks["no-such-thing"].verdict == "failed"
    assert "x" not in checks


async def test_python(tmp_path, monkeypatch):
    monkeypatch.setattr(doctor, "TESTED", ((4, 0), (4, 1)))
    assert (await looked(Settings(state=str(tmp_path)), "python")).verdict == "failed"
    monkeypatch.setattr(doctor, "TESTED", ((3, 0), (3, 1)))
    assert (await looked(Settings(state=str(tmp_path)), "python")).verdict == "degraded"


def test_the_worst_verdict_is_the_health():
    ok, mid, bad = (Check(name="x", verdict=v, message="") for v in ("ok", "degraded", "failed"))
    assert [status_of(c) for c in ([], [ok], [ok, mid], [mid, bad])] == ["healthy", "healthy", "degraded", "unhealthy"]


async def sandbox_checks(monkeypatch, tmp_path, **fields):
    monkeypatch.setattr(doctor, "sandbox_of", lambda _: Surroundings(**fields))
    checks = await examine(Settings(state=str(tmp_path)))
    return {c.name: c for c in checks if c.name.startswith("sandbox")}


async def test_what_holds_each_limit(tmp_path, monkeypatch):
    holds = {"tier": "namespaces", "memory": "cgroup", "attempts": "refused: mount", "tasks_measured": "8"}
    found = await sandbox_checks(monkeypatch, tmp_path, usable=True, holds=holds)
    assert {name: c.verdict for name, c in found.items()} == {"sandbox": "ok", "sandbox.memory": "ok"}
    assert found["sandbox"].message == "native, tier namespaces, tried from inside: refused: mount"
    assert found["sandbox.memory"].message == "cgroup"


async def test_a_weaker_tier_is_degraded_and_says_why(tmp_path, monkeypatch):
    holds = {"tier": "landlock", "cpu": "watchdog", "namespaces": "WEAKER: none; user namespaces are not allowed here"}
    found = await sandbox_checks(monkeypatch, tmp_path, usable=True, holds=holds)
    assert {name: c.verdict for name, c in found.items()} == {
        "sandbox": "degraded",
        "sandbox.cpu": "ok",
        "sandbox.namespaces": "degraded",
    }
    assert "WEAKER in namespaces" in found["sandbox"].message
    assert "user namespaces are not allowed" in found["sandbox.namespaces"].message


async def test_no_sandbox_is_degraded(tmp_path, monkeypatch):
    found = await sandbox_checks(monkeypatch, tmp_path, usable=False, reason="no Landlock")
    assert found["sandbox"].verdict == "degraded"
    assert "no Landlock" in found["sandbox"].message

    def fail():
        raise Failure("the runner cannot be started", code="sandbox_unavailable")

    monkeypatch.setattr(doctor, "sandbox_of", lambda _: SimpleNamespace(probe=fail))
    assert "cannot be started" in (await looked(Settings(state=str(tmp_path)), "sandbox")).message


async def test_languages(tmp_path, monkeypatch):
    def mounts(language):
        if language == "duckdb":
            raise Failure("no", code="language_unavailable", hint="install it")
        return ()

    monkeypatch.setattr(languages, "mounts", mounts)
    check = await looked(Settings(state=str(tmp_path)), "languages")
    assert (check.verdict, check.message, check.hint) == (
        "ok",
        "python, javascript, sql; not here: duckdb",
        "install it",
    )
