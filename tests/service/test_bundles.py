import msgspec
import pytest

from clew.core.errors import Conflict, NotFound, Tampered, UsageError
from clew.service.bundles import export_run, import_run
from clew.service.engine import AsyncEngine
from clew.service.settings import MEMORY, Settings
from clew.stores.bundle_file import read_bundle, write_bundle

HANDLERS = "async def a(input, ctx):\n    return {'kept': input}\n"


@pytest.fixture
async def run(solo):
    engine = solo(HANDLERS)
    return engine, (await engine.run({"secret": 1})).run_id


@pytest.fixture
async def elsewhere(tmp_path):
    engine = AsyncEngine(None, tmp_path, Settings(state=MEMORY))
    yield engine
    await engine.close()


async def test_a_run_goes_into_a_file_and_out_of_it(run, elsewhere, tmp_path):
    engine, name = run
    bundle = await export_run(engine.workspace, name, tmp_path / "b.gz")
    taken = await import_run(elsewhere.workspace, tmp_path / "b.gz")
    assert taken.run == bundle.run == name
    assert (await elsewhere.result(name)).output == {"kept": {"secret": 1}}
    assert (await elsewhere.replay(name)).verdict == "identical"
    with pytest.raises(Conflict):
        await import_run(elsewhere.workspace, tmp_path / "b.gz")


async def test_redacted_holds_no_content(run, elsewhere, tmp_path):
    engine, name = run
    await export_run(engine.workspace, name, tmp_path / "b.gz", redacted=True)
    bundle = await import_run(elsewhere.workspace, tmp_path / "b.gz")
    assert all(event.payload is None for event in bundle.events)
    assert await elsewhere.verify() == []
    assert (await elsewhere.replay(name)).verdict == "erased"


async def test_a_file_is_overwritten_only_when_told(run, tmp_path):
    engine, name = run
    path = tmp_path / "b.gz"
    path.write_text("mine")
    with pytest.raises(Conflict):
        await export_run(engine.workspace, name, path)
    assert path.read_text() == "mine"
    await export_run(engine.workspace, name, path, overwrite=True)
    with pytest.raises(UsageError):
        await export_run(engine.workspace, name, tmp_path)
    with pytest.raises(NotFound):
        await export_run(engine.workspace, "r0", tmp_path / "c.gz")
    assert not (tmp_path / "c.gz").exists()


async def test_what_does_not_hold_is_refused(run, elsewhere, tmp_path):
    engine, name = run
    bundle = await export_run(engine.workspace, name, tmp_path / "b.gz")
    cut = bundle.events[0].payload.replace(b"1", b"2")
    forged = msgspec.structs.replace(bundle.events[0], payload=cut)
    write_bundle(msgspec.structs.replace(bundle, events=(forged, *bundle.events[1:])), tmp_path / "f.gz")
    with pytest.raises(Tampered):
        await import_run(elsewhere.workspace, tmp_path / "f.gz")
    with pytest.raises(NotFound):
        await import_run(elsewhere.workspace, tmp_path / "none")
    assert read_bundle(tmp_path / "b.gz").run == name
