"""Sizes that keep it a house to live in, and notes at the doors (design §3, style 15)."""

import ast

MOST_LINES = 500
MOST_LINES_OF_A_FUNCTION = 60
MOST_PARAMETERS = 6

LONG_FILES: set[str] = set()
LONG_FUNCTIONS: set[str] = set()
MANY_PARAMETERS: set[str] = {
    "manifest/problems.py:add",
}
WITHOUT_NOTE: set[str] = set()
"""Packages that hold nothing yet."""


def functions(modules):
    for name, tree in modules.items():
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                yield f"{name}:{node.name}", node


def test_files_are_short(lines, shrinks):
    shrinks(
        {n for n, count in lines.items() if count > MOST_LINES}, LONG_FILES, f"files of more than {MOST_LINES} lines"
    )


def test_functions_are_short(modules, shrinks):
    found = {n for n, f in functions(modules) if (f.end_lineno or f.lineno) - f.lineno + 1 > MOST_LINES_OF_A_FUNCTION}
    shrinks(found, LONG_FUNCTIONS, f"functions of more than {MOST_LINES_OF_A_FUNCTION} lines")


def test_functions_have_few_parameters(modules, shrinks):
    def count(f):
        named = [a.arg for a in (*f.args.posonlyargs, *f.args.args, *f.args.kwonlyargs)]
        return len([a for a in named if a not in ("self", "cls")])

    found = {n for n, f in functions(modules) if count(f) > MOST_PARAMETERS}
    shrinks(found, MANY_PARAMETERS, f"functions of more than {MOST_PARAMETERS} parameters")


def test_every_package_says_what_belongs_in_it(modules, shrinks):
    found = {n for n, tree in modules.items() if n.endswith("__init__.py") and not ast.get_docstring(tree)}
    shrinks(found, WITHOUT_NOTE, "packages without a note")


def test_every_module_says_what_it_is(modules):
    silent = [
        n for n, tree in modules.items() if not n.endswith("__init__.py") and tree.body and not ast.get_docstring(tree)
    ]
    assert set(silent) <= {"_version.py"}


def test_there_are_no_modules_called_utils(modules):
    assert not [n for n in modules if n.rpartition("/")[2] in ("utils.py", "helpers.py", "common.py", "misc.py")]


# -- states ----------------------------------------------------------------------------------------------------------

ASSIGN_A_STATE: set[str] = {
    "agents/code/runner/probes.py",  # the body of a syntax tree
    "cli/progress.py",
    "core/states.py",
    "service/inspect.py",
    "stores/memory/journal.py",
    "stores/sqlite/commit.py",
}
"""Besides the tables: views and stores that have a field of that name, and no rule about it."""


def test_states_are_assigned_in_one_file(modules, shrinks):
    """``state`` of a run or task and ``body`` of a task change by a move of the tables only; a constructor may set the first."""
    found = set()
    for name, tree in modules.items():
        for function in ast.walk(tree):
            if not isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef) or function.name == "__init__":
                continue
            for node in ast.walk(function):
                targets = (
                    node.targets
                    if isinstance(node, ast.Assign)
                    else [node.target]
                    if isinstance(node, ast.AugAssign | ast.AnnAssign)
                    else []
                )
                flat = [t for target in targets for t in (target.elts if isinstance(target, ast.Tuple) else [target])]
                if any(isinstance(t, ast.Attribute) and t.attr in ("state", "body") for t in flat):
                    found.add(name)
    assert {n for n in found if n.startswith(("core/", "gate/", "runtime/"))} == {"core/states.py"}
    shrinks(found, ASSIGN_A_STATE, "files that assign a state")
