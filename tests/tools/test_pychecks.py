import io
import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import clew
from clew.tools import pychecks
from clew.tools.pychecks import findings

FAULTS = [
    ("def f(:\n", "syntax", 1),
    ("x = 'é\n", "syntax", 1),
    ("a\0b", "syntax", 1),
    ("print(nope)\n", "F821", 1),
    ("def f():\n    return nope\n", "F821", 2),
    ("import os\n", "F401", 1),
    ("from os import path as p\n", "F401", 1),
    ("def f(a=[]):\n    return a\n", "B006", 1),
    ("def f(*, a=dict()):\n    return a\n", "B006", 1),
    ("f = lambda a={}: a\n", "B006", 1),
    ("try:\n    pass\nexcept:\n    pass\n", "E722", 3),
    ("x = 1\nif x is 'a':\n    pass\n", "F632", 2),
    ("x = 1\nif x == None:\n    pass\n", "E711", 2),
    ("x = 1\nif x == True:\n    pass\n", "E712", 2),
    ("assert (1, 'message')\n", "F631", 1),
    ("x = {'a': 1, 'a': 2}\n", "F601", 1),
    ("x = f'nothing'\n", "F541", 1),
    ("def f():\n    try:\n        pass\n    finally:\n        return 1\n", "B012", 5),
    ("raise NotImplemented\n", "F901", 1),
    ("raise NotImplemented('x')\n", "F901", 1),
    ("x = 1\nx == 2\n", "B015", 2),
    ("def f():\n    return 1\n    print(1)\n", "unreachable", 3),
    ("def f():\n    pass\n\n\ndef f():\n    pass\n", "F811", 5),
    ("class A:\n    def __init__(self):\n        return 1\n", "PLE0101", 3),
    ("eval('1')\n", "S307", 1),
    ("exec('1')\n", "S102", 1),
    ("import pickle\nx = pickle.loads(b'')\n", "S301", 2),
    ("import os\nos.system('ls')\n", "S605", 2),
    ("import subprocess\nsubprocess.run('ls', shell=True)\n", "S602", 2),
    ("import yaml\nx = yaml.load('a')\n", "S506", 2),
    ("def f(x):\n" + "    if x:\n        pass\n" * 16, "C901", 1),
]
CLEAN = [
    "",
    "import os as os\n",
    "from __future__ import annotations\n",
    "import os\n__all__ = ['os']\n",
    "import os\nx: 'os.PathLike[str]'\n",
    "import os  # noqa\n",
    "from os import *\nprint(anything)\n",
    "def f():\n    global late\n    late = 1\n\n\ndef g():\n    return late\n",
    "x = [i for i in range(3) if i]\n",
    "class A:\n    x = 1\n    y = x\n",
    "def f():\n    x = 1\n    return lambda: x\n",
    "x = {'a': 1, 'a': 1}\n",
    "x = 1\nx = f'{x:>10}'\n",
    "def f():\n    pass\n\n\nf()\n\n\ndef f():\n    pass\n",
    "import typing\n\n\n@typing.overload\ndef f(a: int): ...\n@typing.overload\ndef f(a: str): ...\n",
    "try:\n    pass\nexcept Exception as e:\n    print(e)\n",
    "def f(x):\n    while True:\n        if x:\n            break\n        continue\n",
    "class A:\n    def __init__(self):\n        def g():\n            return 1\n        self.g = g\n        return None\n",
    "print(__file__, __name__)\n",
    "if (n := 10) > 5:\n    print(n)\n",
    "def f(a):\n    match a:\n        case {'x': y, **rest}:\n            return y, rest\n",
    "def f(a):\n    match a:\n        case [z, *more] as b:\n            return z, more, b\n",
    "\ufeffx = 1\n",
    "try:\n    maybe()\nexcept NameError:\n    pass\n",
    "from a import B, C\nx: 'dict[B,C|None]'\n",
    "def f():\n    raise NotImplementedError\n    yield\n",
    "class A:\n    @property\n    def x(self):\n        return 1\n\n    @x.setter\n    def x(self, v):\n        print(v)\n",
]


@pytest.mark.parametrize(("source", "rule", "line"), FAULTS)
def test_finds(source, rule, line):
    found = findings(source.encode())
    assert (line, rule) in [(one.line, one.rule) for one in found], found


@pytest.mark.parametrize("source", CLEAN)
def test_leaves_alone(source):
    assert findings(source.encode()) == []


def test_the_places_of_our_rules_are_those_of_ruff(tmp_path):
    """Where both know a rule, they say the same of the same line."""
    ruff = shutil.which("ruff", path=str(Path(sys.executable).parent))
    if ruff is None:
        pytest.skip("no ruff")
    for number, (source, rule, _) in enumerate(FAULTS):
        if rule not in ("syntax", "unreachable"):
            (tmp_path / f"f{number}.py").write_text(source)
    options = [
        "--isolated",
        "--no-cache",
        "--output-format=json",
        "--select=E7,F,B,PLE,C901,S",
        "--ignore=S101,S404,S607",
    ]
    config = ["--config", f"lint.mccabe.max-complexity={pychecks.COMPLEX}"]
    report = subprocess.run([ruff, "check", *options, *config, "."], cwd=tmp_path, capture_output=True, check=False)
    theirs = {(Path(one["filename"]).name, one["location"]["row"], one["code"]) for one in json.loads(report.stdout)}
    for number, (source, rule, line) in enumerate(FAULTS):
        if rule not in ("syntax", "unreachable") and "lambda" not in source:
            assert (f"f{number}.py", line, rule) in theirs, source


def test_unused_imports_of_a_package_are_its_interface():
    assert findings(b"import os\n", "a/__init__.py") == []
    assert findings(b"import os\n", "a.pyi") == []


def test_no_false_alarm_on_this_code_base():
    wrong = {"syntax", "F821", "F401", "F632", "F811", "unreachable", "B006"}
    for path in sorted(Path(clew.__file__).parent.rglob("*.py"))[::3]:
        found = [one for one in findings(path.read_bytes(), str(path)) if one.rule in wrong]
        assert found == [], path


@settings(max_examples=60)
@given(st.binary(max_size=200))
def test_any_bytes_are_answered(data):
    assert isinstance(findings(data), list)


def test_findings_are_bounded(monkeypatch):
    monkeypatch.setattr(pychecks, "_MOST", 3)
    said = [
        json.loads(line) for line in pychecks.lines([("a", b"import a\nimport b\n"), ("b", b"import c\nimport d\n")])
    ]
    assert [line.get("message", line.get("file", ""))[:3] for line in said] == ["`a`", "`b`", "a", "`c`", "b"]


def test_the_program(monkeypatch, capsys):
    files = {"a.py": b"import os\n", "b.py": b"x = 1\n"}
    job = b"".join(json.dumps({"path": p, "bytes": len(d)}).encode() + b"\n" + d for p, d in files.items())
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(job)))
    monkeypatch.setattr(pychecks.resource, "setrlimit", lambda *_: None)
    pychecks.main()
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line.get("rule") or line["file"] for line in lines] == ["F401", "a.py", "b.py"]
