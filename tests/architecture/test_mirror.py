"""Tests mirror the source tree: src/clew/a/b.py is covered by tests/a/test_b.py."""

NO_TEST_OF_ITS_OWN: set[str] = {
    "agents/code/kinds.py",
    "agents/code/records.py",
    "agents/code/roles/logs.py",
    "agents/code/roles/retrieve.py",
    "agents/code/roles/syntax.py",
    "agents/code/runner/components.py",
    "agents/code/runner/faults.py",
    "agents/code/runner/observe.py",
    "agents/code/runner/plain.py",
    "agents/code/runner/pools.py",
    "agents/code/runner/recorder.py",
    "agents/code/runner/stages.py",
    "agents/code/runner/start.py",
    "agents/code/runs.py",
    "cli/answering.py",
    "cli/command.py",
    "cli/commands/approve.py",
    "cli/commands/artifacts.py",
    "cli/commands/cancel.py",
    "cli/commands/check.py",
    "cli/commands/diff.py",
    "cli/commands/doctor.py",
    "cli/commands/erase.py",
    "cli/commands/export.py",
    "cli/commands/fork.py",
    "cli/commands/graph.py",
    "cli/commands/import_.py",
    "cli/commands/new.py",
    "cli/commands/queue.py",
    "cli/commands/reject.py",
    "cli/commands/replay.py",
    "cli/commands/resume.py",
    "cli/commands/runs.py",
    "cli/commands/schema.py",
    "cli/commands/show.py",
    "cli/commands/tail.py",
    "cli/commands/verify.py",
    "cli/commands/version.py",
    "cli/events.py",
    "cli/opening.py",
    "cli/portrait.py",
    "cli/present.py",
    "cli/runlist.py",
    "cli/shapes.py",
    "cli/table.py",
    "gate/ports/secrets.py",
    "gate/ports/stream.py",
    "manifest/build.py",
    "manifest/check.py",
    "manifest/compiled.py",
    "manifest/context.py",
    "manifest/gateway_check.py",
    "manifest/generate.py",
    "manifest/kinds.py",
    "manifest/models/agents.py",
    "manifest/models/base.py",
    "manifest/models/gateway.py",
    "manifest/models/governance.py",
    "manifest/models/operation.py",
    "manifest/models/project.py",
    "manifest/models/workflow.py",
    "manifest/node_check.py",
    "manifest/reference.py",
    "manifest/texts.py",
    "models/cues.py",
    "sandbox/programs/sql.py",
    "sandbox/runner/child.py",
    "sandbox/runner/forkserver.py",
    "sandbox/runner/landlock.py",
    "sandbox/runner/identity.py",
    "sandbox/runner/kernel.py",
    "sandbox/runner/measure.py",
    "sandbox/runner/root.py",
    "sandbox/runner/server.py",
    "sandbox/runner/supervisor.py",
    "stores/audit.py",
    "tools/mcp/faults.py",
    "tools/mcp/keeper.py",
    "stores/bundles.py",
    "stores/memory/blobs.py",
    "stores/memory/run.py",
    "stores/messages.py",
    "stores/projections.py",
    "stores/runcard.py",
    "stores/signal.py",
    "stores/sqlite/blobs.py",
    "stores/sqlite/bundle.py",
    "stores/sqlite/claims.py",
    "stores/sqlite/inbox.py",
    "stores/sqlite/projected.py",
    "stores/sqlite/rows.py",
    "stores/sqlite/tables.py",
    "stores/wallclock.py",
    "testing/provider/anthropic.py",
    "testing/provider/gemini.py",
    "testing/provider/openai_chat.py",
    "testing/provider/openai_responses.py",
    "tools/matcher.py",
    "tools/patch.py",
    "tools/text.py",
}
"""Modules whose tests stand elsewhere, and where. This list only shrinks."""


def test_every_module_has_its_own_test_file(modules, root, shrinks):
    missing = set()
    for name in modules:
        folder, _, file = name.rpartition("/")
        if not file.startswith("_") and not (root / "tests" / folder / f"test_{file}").is_file():
            missing.add(name)
    shrinks(missing, NO_TEST_OF_ITS_OWN, "modules without a test file of their own")


FOLDERS_OF_THEIR_OWN = {"architecture", "histories", "properties", "contracts", "chaos", "e2e", "fuzz", "bench"}


def test_every_test_file_has_its_module(modules, root, shrinks):
    """A test of a module that is gone tests something else than it says."""
    orphans = set()
    for path in sorted((root / "tests").rglob("test_*.py")):
        relative = path.relative_to(root / "tests")
        if relative.parts[0] in FOLDERS_OF_THEIR_OWN or "broken" in relative.parts:
            continue
        module = str(relative.with_name(relative.name.removeprefix("test_")))
        if module not in modules:
            orphans.add(str(relative))
    shrinks(orphans, NO_MODULE_OF_ITS_OWN, "test files without a module")


NO_MODULE_OF_ITS_OWN: set[str] = {
    "runtime/test_in_doubt.py",
    "runtime/test_timeouts.py",
    "agents/code/test_example.py",
    "cli/commands/test_answers.py",
    "cli/commands/test_looking_back.py",
    "cli/commands/test_machine.py",
    "cli/commands/test_projects.py",
    "cli/commands/test_record.py",
    "docs/test_docs.py",
    "manifest/test_broken.py",
    "manifest/test_fuzz.py",
    "models/adapters/test_init.py",
    "testing/provider/test_main.py",
}
"""Tests of what several modules do together."""
