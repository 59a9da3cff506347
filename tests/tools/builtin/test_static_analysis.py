import pytest

from clew.core.errors import Failure
from clew.manifest.compiled import ToolPlan
from clew.sandbox.native import NativeBackend
from clew.tools.builtin import builtin, static_analysis

BAD = """import os


def total(values=[]):
    result = 0
    for value in values:
        result += vlaue
    return result
    print(result)
"""


@pytest.fixture(scope="module")
def backend():
    backend = NativeBackend()
    if not backend.probe().usable:
        pytest.skip(backend.probe().reason)
    if static_analysis.ruff_binary() is None:
        pytest.skip("no ruff")
    return backend


@pytest.fixture
def analyse(ask):
    async def call(target=".", config=None, sandbox=None, **args):
        return await ask("static_analysis", config or {}, {"target": target, **args}, sandbox=sandbox)

    return call


@pytest.fixture
def code(root):
    (root / "pkg").mkdir()
    (root / "pkg" / "bad.py").write_text(BAD)
    (root / "pkg" / "good.py").write_text("x = 1\n")
    (root / ".venv").mkdir()
    (root / ".venv" / "other.py").write_text("import os\n")
    (root / "notes.txt").write_text("import os\n")
    return root


def rules(result):
    return {(one["rule"], one["location"].split(":")[1]) for one in result["findings"]}


async def test_without_ruff(code, analyse):
    result = await analyse()
    assert (result["kind"], result["engine"], result["severity"], result["files"]) == ("analysis", "ast", "error", 2)
    assert rules(result) == {("F401", "1"), ("B006", "4"), ("F821", "7"), ("unreachable", "9")}
    assert result["findings"][0]["severity"] == "error"
    assert result["findings"][0]["location"] == "pkg/bad.py:7:19"
    assert result["counts"] == {"error": 2, "warn": 2, "info": 0}
    assert result["suggestions"][0].startswith("pkg/bad.py:7:19: Define or import")
    assert (code / "pkg" / "bad.py").read_text() == BAD


@pytest.mark.sandbox
async def test_with_ruff(code, analyse, backend):
    (code / "pkg" / "ruff.toml").write_text("lint.select = []\n")
    (code / "pkg" / "odd.py").write_text("def f(:\n")
    result = await analyse("pkg", sandbox=backend)
    assert result["engine"] == "ruff"
    assert {("F401", "1"), ("B006", "4"), ("F821", "7"), ("unreachable", "9"), ("syntax", "1")} <= rules(result)
    assert (await analyse("pkg/good.py", sandbox=backend))["findings"] == []


@pytest.mark.sandbox
async def test_newer_syntax(root, analyse, backend):
    (root / "new.py").write_text("type Pair[T] = tuple[T, T]\n")
    assert (await analyse("new.py", sandbox=backend))["findings"] == []


@pytest.mark.sandbox
async def test_mending(code, analyse, backend):
    result = await analyse("pkg", {"fix": True}, backend, fix=True)
    assert result["fixed"] == ["pkg/bad.py"]
    assert "-import os" in result["diff"]
    assert (code / "pkg" / "bad.py").read_text() == BAD.replace("import os\n", "")
    assert ("F401", "1") not in rules(result)
    assert ("F821", "6") in rules(result)
    assert ("unreachable", "8") in rules(result)
    assert "fixed" not in await analyse("pkg", {"fix": True}, backend, fix=True)


@pytest.mark.sandbox
async def test_a_file_that_changes_meanwhile_is_not_overwritten(code, analyse, backend, monkeypatch):
    inner = static_analysis.ruff_findings

    async def slow(*args, **kwargs):
        found = await inner(*args, **kwargs)
        (code / "pkg" / "bad.py").write_text("mine = 1\n")
        return found

    monkeypatch.setattr(static_analysis, "ruff_findings", slow)
    with pytest.raises(Failure) as caught:
        await analyse("pkg", {"fix": True}, backend, fix=True)
    assert caught.value.code == "changed"
    assert (code / "pkg" / "bad.py").read_text() == "mine = 1\n"


async def test_mending_is_declared(code, analyse):
    with pytest.raises(Failure) as caught:
        await analyse(fix=True)
    assert caught.value.code == "invalid_arguments"
    with pytest.raises(Failure) as caught:
        await analyse(config={"fix": True}, fix=True)
    assert caught.value.code == "no_ruff"
    assert not builtin("static_analysis").spec.mutates
    assert builtin("static_analysis", ToolPlan(type="builtin", config={"fix": True})).spec.mutates


@pytest.mark.parametrize(
    ("target", "code"),
    [
        ("../x", "outside_root"),
        ("out", "outside_root"),
        ("nope.py", "not_found"),
        ("empty", "no_python"),
        ("/etc", "outside_root"),
    ],
)
async def test_refuses(root, analyse, target, code):
    (root / "out").symlink_to("..")
    (root / "empty").mkdir()
    with pytest.raises(Failure) as caught:
        await analyse(target)
    assert caught.value.code == code


async def test_never_executes(root, analyse):
    (root / "a.py").write_text("open('ran', 'w')\n1 / 0\n")
    (root / "sitecustomize.py").write_text("open('ran', 'w')\n")
    await analyse()
    assert not (root / "ran").exists()


async def test_large_and_many(root, analyse, monkeypatch):
    (root / "large.py").write_text("#" * 2_000_000)
    result = await analyse()
    assert (result["files"], result["skipped"], result["severity"]) == (0, 1, "info")
    (root / "many.py").write_text("".join(f"import m{n}\n" for n in range(600)))
    result = await analyse("many.py")
    assert (len(result["findings"]), result["truncated"], result["counts"]["warn"]) == (500, True, 600)
    assert len(result["suggestions"]) == 1
    monkeypatch.setattr(static_analysis, "_FILES", 1)
    (root / "one.py").write_text("x = 1\n")
    with pytest.raises(Failure) as caught:
        await analyse()
    assert caught.value.code == "too_large"


async def test_suggestions_are_few_and_short(root, analyse):
    (root / ("d" * 200)).mkdir()
    (root / ("d" * 200) / ("f" * 200 + ".py")).write_text(
        BAD + "".join(f"x == {n}\nassert ({n}, 1)\n" for n in range(20))
    )
    result = await analyse()
    assert len(result["suggestions"]) <= 10
    assert all(len(one) <= 256 for one in result["suggestions"])
