"""verify, export, import, erase."""

import sqlite3
from pathlib import Path

import pytest

from clew.cli import shapes


@pytest.fixture
def run(cli, plain):
    return cli("run", plain, "--set", "n=4", "--json").json()["run"]


def change(sql: str) -> None:
    with sqlite3.connect(Path("state") / "journal.db") as connection:
        assert connection.execute(sql).rowcount
    connection.close()


def test_a_sound_record(cli, run):
    answer = cli("verify")
    assert answer.code == 0
    assert "as they were written" in answer.out
    document = cli("verify", run, "--json").document(shapes.VerifyDoc)
    assert document.ok
    assert document.runs == 1
    head = cli("verify", "--print-head").out.strip()
    assert cli("verify", "--head", head).code == 0


def test_a_changed_payload_is_found(cli, run):
    change("UPDATE payloads SET body = replace(body, '8', '9') WHERE body LIKE '%double%8%'")
    answer = cli("verify")
    assert answer.code == 1
    assert run in answer.out
    document = cli("verify", "--json").document(shapes.VerifyDoc)
    assert not document.ok
    assert document.findings


def test_a_head_kept_elsewhere(cli, run):
    head = cli("verify", "--print-head").out.strip()
    seq, digest = head.split(":")
    assert cli("verify", "--head", f"{int(seq) + 5}:{digest}").code == 1
    for wrong in ("x", "1:2", f"a:{digest}", digest):
        assert cli("verify", "--head", wrong).code == 2


def test_export_and_import(cli, run, tmp_path):
    out = cli("export", run, "--json").document(shapes.BundleDoc)
    assert Path(out.file).stat().st_mode & 0o077 == 0
    assert cli("export", run).code == 2
    assert cli("export", run, "--force").code == 0
    assert cli("import", out.file).code == 2
    other = tmp_path / "other"
    taken = cli("import", out.file, "--state", other, "--json").document(shapes.BundleDoc)
    assert taken.run == run
    assert cli("replay", run, "--state", other).code == 0
    assert cli("show", run, "--state", other, "--output", "--json").json()["double"] == 8
    assert cli("verify", "--state", other).code == 0


def test_a_redacted_export_verifies_and_does_not_replay(cli, run, tmp_path):
    cli("export", run, "-o", "r.gz", "--redacted")
    other = tmp_path / "other"
    assert cli("import", "r.gz", "--state", other).code == 0
    assert cli("verify", "--state", other).code == 0
    assert cli("replay", "--state", other, "--json").document(shapes.ReplayList).replays[0].verdict == "erased"
    assert "plain" in cli("show", "--state", other).out


def test_files_that_are_no_bundles(cli, run, tmp_path):
    (tmp_path / "junk").write_text("junk")
    assert cli("import", "junk").code == 2
    assert cli("import", "none").code == 2
    assert cli("export", run, "-o", tmp_path).code == 2
    assert cli("export", run, "-o", tmp_path / "no" / "where").code == 2


def test_erasing(cli, run):
    assert cli("erase").code == 2
    refused = cli("erase", run)
    assert refused.code == 2
    assert "--yes" in refused.err
    done = cli("erase", run, "--yes", "--json").document(shapes.ErasedDoc)
    assert done.payloads > 0
    assert cli("verify").code == 0
    assert "erased" in cli("replay").out
    assert cli("show", run).code == 0
    assert "erased" in cli("show", run, "--event", "1").out
    assert cli("fork", run, "--at", "1", "--yes").code == 1
