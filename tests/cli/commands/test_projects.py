"""new, check, graph, schema: commands that look at a project and run nothing."""

from clew.cli import shapes


def test_a_new_project_checks_and_runs(cli, tmp_path):
    made = cli("new", tmp_path / "fresh", "--json")
    assert made.code == 0
    assert str(tmp_path / "fresh" / "workflow.yaml") in made.document(shapes.NewDoc).files
    assert cli("check", tmp_path / "fresh").code == 0
    ran = cli("run", tmp_path / "fresh", "--input-file", tmp_path / "fresh" / "input.json", "--json")
    assert ran.code == 0, ran
    again = cli("new", tmp_path / "fresh")
    assert again.code == 2
    assert "already has" in again.err


def test_check_prints_every_problem_with_its_place(cli, plain):
    text = (plain / "clew.yaml").read_text()
    (plain / "clew.yaml").write_text(text.replace("role: linear", "role: liner").replace("to: done", "to: dome"))
    answer = cli("check", plain)
    assert answer.code == 2
    assert "clew.yaml:5:" in answer.out
    assert "linear" in answer.out
    assert "dome" in answer.out
    assert "2 errors" in answer.out
    document = cli("check", plain, "--json").document(shapes.CheckDoc)
    assert not document.ok
    assert {(p.line, p.severity) for p in document.errors} >= {(5, "error")}


def test_check_of_nothing_is_an_error_with_a_place(cli, tmp_path):
    answer = cli("check", tmp_path / "none")
    assert answer.code == 2
    assert "none" in answer.out


def test_warnings_fail_only_when_they_are_to(cli, asking):
    text = (asking / "clew.yaml").read_text().replace("role: branch}", "role: split}")
    text = text.replace("- {from: both, to: sign}", "- {from: both, to: sign}").replace(
        'handler: "handlers:outputs"', ""
    )
    (asking / "clew.yaml").write_text(text)
    plain_check, strict = cli("check", asking), cli("check", asking, "--strict")
    document = cli("check", asking, "--json").document(shapes.CheckDoc)
    assert plain_check.code == 0
    assert strict.code == (2 if document.warnings else 0)


def test_a_graph_as_text_mermaid_and_document(cli, asking):
    text = cli("graph", asking)
    assert "meet   merge" in text.out
    assert "scope both" in text.out
    assert cli("graph", asking, "--format", "mermaid").out.startswith("flowchart TD")
    document = cli("graph", asking, "--json").document(shapes.GraphDoc)
    assert (document.workflow, document.start) == ("asking", "start")
    assert {n.id: n.scope for n in document.nodes}["meet"] == "both"
    assert document.drawing == text.out
    assert cli("graph", asking, "--start", "sign").code == 2


def test_schemas(cli, tmp_path):
    assert cli("schema").json()["title"].startswith("clew.yaml")
    assert cli("schema", "workflow").json()["title"].startswith("workflow.yaml")
    wrong = cli("schema", "workflows")
    assert wrong.code == 2
    assert "workflow" in wrong.err
    files = cli("schema", "--out", tmp_path / "s", "--json").json()["files"]
    assert str(tmp_path / "s" / "agents.json") in files
    (tmp_path / "f").write_text("")
    assert cli("schema", "--out", tmp_path / "f" / "x").code == 2
