"""The command table: what there is and where it lies. Modules are loaded when a command is used, never for ``clew --help``."""

from importlib import import_module
from typing import NamedTuple

import click

from clew.core.errors import UsageError


class Entry(NamedTuple):
    """``summary`` is what ``clew --help`` says; a test holds it equal to the command's own first line."""

    section: str
    summary: str


COMMANDS: dict[str, Entry] = {
    "new": Entry("Projects", "Write a new project into a directory."),
    "check": Entry("Projects", "Check a project's manifests; print every problem with its place."),
    "graph": Entry("Projects", "Draw a project's workflow as text or Mermaid."),
    "pin": Entry("Projects", "Ask a project's MCP servers what their tools are like, and hold them to it."),
    "schema": Entry("Projects", "Print the JSON Schema of a manifest, for editors."),
    "run": Entry("Runs", "Run a project to its end, or until a human is needed."),
    "resume": Entry("Runs", "Go on with an interrupted, paused or waiting run, or with all interrupted ones."),
    "cancel": Entry("Runs", "End a run now."),
    "approve": Entry("Runs", "Agree to what a run asks, or answer its question; the run goes on."),
    "reject": Entry("Runs", "Refuse what a run asks; the run goes on."),
    "queue": Entry("Runs", "List, fill or drive the queue of runs."),
    "task": Entry("Runs", "Do work that comes in an envelope, and answer in one."),
    "status": Entry("Runs", "Say how many runs are queued, running, waiting and given up, and who works on them."),
    "query": Entry("Memory", "Search memory by meaning and by words."),
    "context": Entry("Memory", "Look into memory, and change it: documents, their versions, snapshots, the graph."),
    "runs": Entry("Looking back", "List runs, newest first."),
    "show": Entry("Looking back", "Show a run: what happened, why, and its state at any event."),
    "tail": Entry("Looking back", "Follow a run's events as they come, also from another process."),
    "artifacts": Entry("Looking back", "List what a run's nodes and tools produced."),
    "costs": Entry("Looking back", "Show what runs cost and how many tokens they used."),
    "fitness": Entry("Looking back", "Show how agents did their work: success, time and cost, by model."),
    "milestones": Entry("Looking back", "Show what a run's planner planned, how far it is, and what is late."),
    "diff": Entry("Looking back", "Compare two runs, such as a run and its fork."),
    "replay": Entry("Looking back", "Walk recorded runs again without performing anything, and find divergence."),
    "fork": Entry("Looking back", "Branch a run off at an event, with other values or manifests."),
    "verify": Entry("The record", "Check chains, ledger and payloads for changes since they were written."),
    "export": Entry("The record", "Write a run to one file."),
    "import": Entry("The record", "Take in a run from a file that export wrote."),
    "erase": Entry("The record", "Forget a run's payloads; its chain stays whole."),
    "doctor": Entry("This machine", "Check this machine and the state directory."),
    "version": Entry("This machine", "Print versions."),
}

_EXTRAS = {"numpy": "context", "faiss": "context", "Stemmer": "context"}
"""Module -> the extra that brings it."""


def load(name: str) -> click.Command:
    """The command itself. Raises KeyError for a name that is not in the table, UsageError where what it needs is not installed."""
    if name not in COMMANDS:
        raise KeyError(name)
    try:
        module = import_module(f"clew.cli.commands.{'import_' if name == 'import' else name}")
    except ModuleNotFoundError as error:
        if error.name not in _EXTRAS:
            raise
        needed = f"clew {name} needs {error.name}, which is not installed"
        raise UsageError(needed, hint=f"install it with: pip install 'clew[{_EXTRAS[error.name]}]'") from None
    command: click.Command = module.command
    return command
