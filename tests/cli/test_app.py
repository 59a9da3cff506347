import signal
import subprocess
import sys
import warnings

import pytest

from clew.cli import app
from clew.cli.command import Command
from clew.cli.table import COMMANDS, load


def test_help_lists_every_command_without_loading_one(cli):
    answer = cli("--help")
    assert answer.code == 0
    for name, entry in COMMANDS.items():
        assert f"  {name} " in answer.out
        assert entry.summary.split()[0] in answer.out


def test_importing_the_command_line_loads_nothing_heavy():
    code = (
        "import sys, clew.cli; heavy = {'rich', 'msgspec', 'asyncio', 'sqlite3', 'yaml', 'jsonschema_rs',"
        "'clew.service', 'clew.runtime', 'clew.stores', 'clew.manifest'}; print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_says_what_the_table_says_and_shows_an_example(name):
    command = load(name)
    assert isinstance(command, Command)
    assert command.name == name
    assert (command.help or "").split("\n")[0] == COMMANDS[name].summary
    assert command.examples
    assert command.shape is not None
    for line, what in command.examples:
        assert line.startswith("clew ")
        assert what
    for option in command.params:
        if option.param_type_name == "option":
            assert option.help, f"{name} {option.name}"


def test_a_misspelt_command_is_answered_with_the_one_that_was_meant(cli):
    answer = cli("rnus")
    assert answer.code == 2
    assert "did you mean 'runs'" in answer.err or "did you mean 'run'" in answer.err
    assert cli("zzzz").code == 2


def test_without_arguments_the_help_is_shown_and_it_is_wrong_use(cli):
    answer = cli()
    assert "Usage: clew" in answer.out + answer.err


@pytest.mark.parametrize("args", [("--nonsense",), ("run", "--nonsense"), ("runs", "--limit", "x"), ("diff",)])
def test_wrong_options_are_wrong_use(cli, args):
    answer = cli(*args)
    assert answer.code == 2
    assert answer.err.startswith("error: ")
    assert "--help" in answer.err
    assert answer.out == ""


def test_wrong_use_with_json_is_one_document(cli):
    answer = cli("run", "--nonsense", "--json")
    assert answer.code == 2
    error = answer.json()["error"]
    assert error["code"] == "usage"
    assert "--nonsense" in error["message"]
    assert error["hint"]


def test_shared_options_may_stand_before_the_command(cli, tmp_path):
    assert cli("--json", "--state", tmp_path / "other", "runs").json() == {"runs": [], "more": False}


def test_the_version(cli):
    assert cli("--version").out.startswith("clew ")


def test_what_a_library_of_models_tells_its_developers_is_not_shown(monkeypatch):
    monkeypatch.setattr(app.clew, "main", lambda: None)
    monkeypatch.setattr(signal, "signal", lambda *of: None)
    monkeypatch.setattr(sys, "warnoptions", [])
    with warnings.catch_warnings(record=True) as shown:
        warnings.simplefilter("always")
        app.main()
        for module in ("pydantic_ai.models.openai", "genai_prices", "handlers"):
            warnings.warn_explicit(f"from {module}", UserWarning, "file.py", 1, module=module)
    assert [str(one.message) for one in shown] == ["from handlers"]
