import importlib.util
import json
import shutil

import pytest

from clew.core.errors import Failure
from clew.gate.ports.sandbox import MIB, ExecResult, Mount, Profile
from clew.sandbox import languages

pytestmark = pytest.mark.sandbox
SALES = b"\xef\xbb\xbfregion,amount\nnorth,10\nsouth,2\nnorth,7\n"


@pytest.fixture
def run(backend):
    async def call(language, code, files=None, *, packages=(), mounts=()) -> ExecResult:
        profile = Profile(wall_s=20, memory=1024 * MIB, mounts=(*languages.mounts(language), *mounts))
        with backend.acquire(profile) as sandbox:
            return await sandbox.execute(languages.request(sandbox, language, code, files, packages))

    return call


def lines(result) -> list:
    assert (result.rc, result.stderr) == (0, b""), result
    return [json.loads(line) for line in result.stdout.splitlines()]


async def test_python_reads_a_table(run):
    code = "import csv, statistics\nrows = list(csv.DictReader(open('data/sales.csv', encoding='utf-8-sig')))\n"
    code += "print(statistics.mean(float(row['amount']) for row in rows))\n"
    result = await run("python", code, {"data/sales.csv": SALES})
    assert (result.rc, result.stdout, result.stderr) == (0, b"6.333333333333333\n", b"")


async def test_python_with_packages_that_are_mounted(run, tmp_path):
    (tmp_path / "packages").mkdir(mode=0o755)
    (tmp_path / "packages" / "answer.py").write_text("value = 42\n")
    folder = str(tmp_path / "packages")
    result = await run("python", "import answer; print(answer.value)", packages=(folder,), mounts=(Mount(folder),))
    assert result.stdout == b"42\n", result


async def test_python_has_no_site_packages(run):
    result = await run("python", "import msgspec")
    assert result.rc == 1
    assert b"No module named 'msgspec'" in result.stderr


async def test_sql_over_tables_and_several_statements(run):
    code = "CREATE TABLE t(x); INSERT INTO t VALUES (1), ('a;b'), (NULL), (x'00ff'); -- a; comment\n"
    code += "SELECT * FROM t;\nSELECT region, sum(amount) AS total FROM sales GROUP BY region ORDER BY total"
    result = await run("sql", code, {"sales.csv": SALES})
    assert lines(result) == [
        {"columns": ["x"]},
        *([1], ["a;b"], [None], ["00ff"]),
        {"columns": ["region", "total"]},
        *(["south", 2], ["north", 17]),
    ]


async def test_rows_of_unequal_length_and_odd_names(run):
    result = await run("sql", 'SELECT * FROM "a ""b"', {'a "b.csv': b"x,y\n1\n\n2,3,4\n", "empty.csv": b""})
    assert lines(result)[1:] == [[1, None], [2, 3]]


@pytest.mark.parametrize("code", ["SELECT * FROM nowhere", "SELEC 1", "ATTACH '/etc/x.db' AS x"])
async def test_errors_of_the_database_are_said(run, code):
    result = await run("sql", f"SELECT 1; {code}")
    assert result.rc == 1
    assert result.stdout.splitlines()[1] == b"[1]"
    assert result.stderr.startswith(b"OperationalError: ")


@pytest.mark.skipif(importlib.util.find_spec("duckdb") is None, reason="duckdb is not installed")
async def test_duckdb(run):
    code = (
        "SELECT region, sum(amount)::int AS total, DATE '2024-01-31' AS day FROM sales GROUP BY region ORDER BY total"
    )
    result = await run("duckdb", code, {"sales.csv": SALES})
    assert lines(result) == [
        {"columns": ["region", "total", "day"]},
        ["south", 2, "2024-01-31"],
        ["north", 17, "2024-01-31"],
    ]


@pytest.mark.skipif(shutil.which("node") is None, reason="node is not installed")
async def test_javascript(run):
    code = (
        "const fs = require('fs');\nconst rows = fs.readFileSync('sales.csv', 'utf8').trim().split('\\n').slice(1);\n"
    )
    code += "console.log(rows.reduce((sum, row) => sum + Number(row.split(',')[1]), 0));\n"
    code += "fetch('http://127.0.0.1:1').catch(error => console.log(error.cause.code ?? error.message));"
    result = await run("javascript", code, {"sales.csv": SALES})
    assert (result.rc, result.stdout.split()[0]) == (0, b"19"), result


def test_what_is_not_installed_is_said(monkeypatch):
    monkeypatch.setattr(shutil, "which", lambda *_, **__: None)
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    for language in ("javascript", "duckdb"):
        with pytest.raises(Failure) as caught:
            languages.mounts(language)
        assert caught.value.code == "language_unavailable"
        assert caught.value.hint


def test_a_program_outside_the_system_is_shown_alone(monkeypatch, tmp_path):
    (tmp_path / "node").touch()
    monkeypatch.setattr(shutil, "which", lambda *_, **__: str(tmp_path / "node"))
    assert languages.mounts("javascript") == (Mount(str(tmp_path / "node")),)
