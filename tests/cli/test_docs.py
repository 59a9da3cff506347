from pathlib import Path

from clew.cli.docs import PAGE, main, page
from clew.cli.table import COMMANDS


def test_the_reference_is_current():
    kept = Path(__file__).parents[2] / PAGE
    assert kept.read_text(encoding="utf-8") == page(), "run: python -m clew.cli.docs"


def test_every_command_is_in_it_with_an_example_and_its_document():
    text = page()
    for name in COMMANDS:
        part = text.split(f"### `clew {name}`\n", 1)[1].split("\n### ", 1)[0]
        assert "```sh" in part
        assert "`--json`: " in part
    assert "](#outcome)" in text
    assert "### Outcome" in text
    for link in {piece.split(")")[0] for piece in text.split("](#")[1:]}:
        assert f"### {link}\n" in text.lower(), link


def test_it_is_written_below_the_current_directory(tmp_path, capsys):
    main()
    assert (tmp_path / PAGE).read_text(encoding="utf-8") == page()
