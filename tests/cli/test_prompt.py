"""At a terminal: the live tree, and the prompt at pauses."""

import re


def test_the_tree_and_the_summary(terminal, plain):
    screen = terminal("run", plain, "--set", "n=2")
    assert screen.end() == 0
    shown = screen.plain()
    assert "✓ work" in shown
    assert "✓ plain" in shown
    assert "look back" in shown
    assert "\x1b[?25h" in screen.raw  # the cursor is shown again
    assert screen.raw.rindex("\x1b[?25h") > screen.raw.rindex("\x1b[?25l")


def test_no_color_and_narrow(terminal, plain):
    screen = terminal("run", plain, size=(30, 6), NO_COLOR="1")
    assert screen.end() == 0
    assert not re.search(r"\x1b\[[0-9;]*3[0-9]m", screen.raw)


def test_a_dumb_terminal_gets_lines(terminal, plain):
    screen = terminal("run", plain, TERM="dumb")
    assert screen.end() == 0
    assert "\x1b" not in screen.raw


def test_stepping_looking_around_and_going_on(terminal, plain):
    screen = terminal("run", plain, "--step", "--set", "n=3", "--set", "password=hunter2")
    screen.until("paused before start")
    screen.until("?> ")
    screen.send("n\n")
    screen.until("no node was entered yet")
    screen.send("s\n")
    screen.until("paused before work")
    screen.send("t 0\n")
    screen.until("at work")
    screen.send("i\n")
    screen.until("0/work#1")
    screen.send("t 9\n")
    screen.until("there is no task '9'")
    screen.send("what\n")
    screen.until("leave it paused")
    screen.send("n\n")
    screen.until("start")
    screen.send("c\n")
    assert screen.end() == 0
    assert "hunter2" not in screen.plain()
    assert '"double":6' in screen.plain()


def test_leaving_it_paused(cli, terminal, plain):
    screen = terminal("run", plain, "--break", "work")
    screen.until("paused before work")
    screen.until("?> ")
    screen.send("q\n")
    assert screen.end() == 3
    assert "clew resume r" in screen.plain()
    run = cli("runs", "--json").json()["runs"][0]["run"]
    assert cli("resume", run).code == 0


def test_the_end_of_input_leaves_it_paused(terminal, plain):
    screen = terminal("run", plain, "--break", "work")
    screen.until("?> ")
    screen.send("\x04")
    assert screen.end() == 3


def test_an_interrupt_at_the_prompt(terminal, plain):
    screen = terminal("run", plain, "--break", "work")
    screen.until("?> ")
    screen.child.send_signal(2)
    assert screen.end() == 4
    assert "clew resume r" in screen.plain()


def test_forking_and_erasing_ask_first(cli, terminal, plain):
    run = cli("run", plain, "--set", "n=1", "--json").json()["run"]
    screen = terminal("fork", run, "--at", "1", "--set", "n=5")
    screen.until("Run this fork?")
    screen.send("n\n")
    assert screen.end() == 2
    screen = terminal("fork", run, "--at", "1", "--set", "n=5")
    screen.until("performed anew")
    screen.until("Run this fork?")
    screen.send("y\n")
    assert screen.end() == 0
    assert '"double":10' in screen.plain()
    screen = terminal("erase", run)
    screen.until("for ever?")
    screen.send("n\n")
    assert screen.end() == 2
