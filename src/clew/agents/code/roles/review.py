"""DesignReview: what makes a repository hard to change (K6). Offline it is what can be measured: cycles of imports, and what is
too long, too wide or too deep; with a model its findings come on top.
"""

import ast
from collections.abc import Iterator, Mapping

import msgspec

from clew.agents.code.roles.seat import MODEL, OFFLINE, Json, Payload, Question, Seat, understood
from clew.agents.code.roles.tree import placed, python_files, text_of
from clew.agents.code.runner.scope import editable
from clew.agents.code.source import FUNCTIONS
from clew.core.errors import Failure
from clew.gate.ports.sandbox import SandboxBackend

LONG_FILE, LONG_FUNCTION, MANY_PARAMETERS, DEEP, WIDE = 500, 60, 6, 4, 20
"""Lines of a file and of a function, parameters, blocks within blocks, public methods of a class: more than that is told."""
_FILES = 1000
_LISTED = 200
_SEVERITIES = ("error", "warn", "info")
_BLOCKS = (ast.If, ast.For, ast.AsyncFor, ast.While, ast.With, ast.AsyncWith, ast.Try, ast.Match)
_WORDS: Json = {"type": "string", "minLength": 1, "maxLength": 2000}
_FOUND: Json = {
    "type": "object",
    "properties": {
        "severity": {"enum": list(_SEVERITIES)},
        **dict.fromkeys(("location", "message", "suggestion"), _WORDS),
    },
    "required": ["severity", "location", "message", "suggestion"],
    "additionalProperties": False,
}
_ANSWER: Json = {
    "type": "object",
    "properties": {"summary": _WORDS, "findings": {"type": "array", "items": _FOUND, "maxItems": 50}},
    "required": ["summary", "findings"],
    "additionalProperties": False,
}


class Task(Payload, frozen=True, kw_only=True):
    """``target``: a file or a folder, by default all; ``instructions``: a question, for a model."""

    target: str = ""
    instructions: str = ""


class Reviewed(msgspec.Struct, frozen=True, kw_only=True):
    """``findings``: ``{severity, location, message, suggestion}``, worst first; ``measured``: files, lines, functions, imports."""

    method: str
    target: str
    summary: str
    severity: str
    findings: list[Json]
    suggestions: list[str]
    measured: dict[str, int]
    kind: str = "design_review"


async def work(payload: Json, seat: Seat) -> Json:
    """Raises Failure: ``no_python``, and what the model fails with."""
    wanted = understood(Task, payload)
    seen = await seat.do("measure", measure, payload)
    method, findings = OFFLINE, seen["findings"]
    summary = f"{len(findings)} findings in {seen['measured']['files']} files"
    if wanted.model:
        told = "\n".join(f"{one['location']}: {one['message']}" for one in findings)
        about = {
            "Question": wanted.instructions,
            "Measured": told or "nothing stands out",
            "Outline": seen["outline"],
        }
        question = Question(agent="DesignReview", prompt="review", about=about, schema=_ANSWER)
        answer = await seat.ask(wanted, question, _as_it_is)
        method, findings, summary = MODEL, [*answer["findings"], *findings], answer["summary"]
    ranked = sorted(findings, key=lambda one: _SEVERITIES.index(one["severity"]))
    reviewed = Reviewed(
        method=method,
        target=wanted.target,
        summary=summary,
        severity=ranked[0]["severity"] if ranked else "info",
        findings=ranked[:_LISTED],
        suggestions=list(dict.fromkeys(f"{one['location']}: {one['suggestion']}"[:256] for one in ranked))[:10],
        measured=seen["measured"],
    )
    return msgspec.to_builtins(reviewed)


async def _as_it_is(answer: Json, _left: int) -> Json:
    return answer


def measure(_backend: SandboxBackend, payload: Json) -> Json:
    """The job: ``{findings, measured, outline}`` of the code under test; files that do not parse are left out."""
    wanted = understood(Task, payload)
    target = placed(wanted.target) if wanted.target else ""
    trees: dict[str, ast.Module] = {}
    lines = 0
    for path in [path for path in python_files(wanted) if editable(path)][:_FILES]:
        try:
            text = text_of(wanted, path) or ""
            trees[path] = ast.parse(text)
        except (Failure, SyntaxError, ValueError, RecursionError, MemoryError):
            continue
        lines += text.count("\n") if _within(path, target) else 0
    chosen = {path: tree for path, tree in trees.items() if _within(path, target)}
    if not chosen:
        raise Failure(f"{target or wanted.repo}: no Python code to review", code="no_python")
    imports = _imports(trees)
    findings = [*_cycles(imports, chosen), *(one for path, tree in chosen.items() for one in _sizes(path, tree))]
    functions = sum(isinstance(node, FUNCTIONS) for tree in chosen.values() for node in ast.walk(tree))
    edges = sum(len(imports[path]) for path in chosen)
    return {
        "findings": findings,
        "measured": {"files": len(chosen), "lines": lines, "functions": functions, "imports": edges},
        "outline": "\n".join(_outline(path, tree, imports[path]) for path, tree in chosen.items()),
    }


def _within(path: str, target: str) -> bool:
    return not target or path == target or path.startswith(f"{target}/")


def _found(severity: str, location: str, message: str, suggestion: str) -> Json:
    return {"severity": severity, "location": location, "message": message, "suggestion": suggestion}


# -- imports -----------------------------------------------------------------------------------------------------------


def _module(path: str) -> str:
    parts = path.removesuffix(".py").split("/")
    parts = parts[1:] if parts[0] in ("src", "lib") and len(parts) > 1 else parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def _imports(trees: Mapping[str, ast.Module]) -> dict[str, dict[str, int]]:
    """File -> the repository's files that it imports when it is loaded, with the line."""
    files = {_module(path): path for path in trees}
    found: dict[str, dict[str, int]] = {}
    for path, tree in trees.items():
        package = _module(path) if path.endswith("__init__.py") else _module(path).rpartition(".")[0]
        found[path] = {}
        for node in _loaded(tree):
            for name in _named(node, package):
                whole = name if name in files else name.rpartition(".")[0]
                if whole in files and files[whole] != path:
                    found[path].setdefault(files[whole], node.lineno)
    return found


def _loaded(tree: ast.Module) -> Iterator[ast.Import | ast.ImportFrom]:
    """Imports that run when the module does; not those of functions, nor those for type checkers alone."""
    waiting: list[ast.stmt] = list(tree.body)
    while waiting:
        node = waiting.pop(0)
        if isinstance(node, ast.Import | ast.ImportFrom):
            yield node
        elif isinstance(node, ast.If) and "TYPE_CHECKING" not in ast.unparse(node.test):
            waiting += [*node.body, *node.orelse]
        elif isinstance(node, ast.Try):
            waiting += [*node.body, *node.orelse, *node.finalbody]


def _named(node: ast.Import | ast.ImportFrom, package: str) -> Iterator[str]:
    if isinstance(node, ast.Import):
        yield from (one.name for one in node.names)
        return
    parts = package.split(".") if package else []
    base = ".".join(parts[: len(parts) - node.level + 1]) if node.level else ""
    head = ".".join(part for part in (base, node.module or "") if part)
    yield from (f"{head}.{one.name}" if head else one.name for one in node.names)


def _cycles(imports: Mapping[str, Mapping[str, int]], chosen: Mapping[str, ast.Module]) -> Iterator[Json]:
    """Files that import each other, directly or by way of others; each group once."""
    reached = {path: _reached(path, imports) for path in imports}
    told: set[str] = set()
    for path in sorted(chosen):
        group = sorted(other for other in reached[path] if path in reached[other])
        if path in told or len(group) < 2:
            continue
        told.update(group)
        line = next(line for other, line in imports[path].items() if other in group)
        names = ", ".join(group[:6]) + (" …" if len(group) > 6 else "")
        mend = "move what both need into a module that imports neither, or import where it is used"
        yield _found("warn", f"{path}:{line}", f"{len(group)} files import each other: {names}", mend)


def _reached(start: str, imports: Mapping[str, Mapping[str, int]]) -> set[str]:
    found: set[str] = set()
    waiting = [start]
    while waiting:
        for path in imports[waiting.pop()]:
            if path not in found:
                found.add(path)
                waiting.append(path)
    return found


# -- sizes -------------------------------------------------------------------------------------------------------------


def _sizes(path: str, tree: ast.Module) -> Iterator[Json]:
    last = max((node.end_lineno or 0 for node in tree.body), default=0)
    if last > LONG_FILE:
        yield _found("info", path, f"{last} lines", "take it apart by what changes together")
    for node in ast.walk(tree):
        if isinstance(node, FUNCTIONS):
            yield from _function(f"{path}:{node.lineno}", node)
        elif isinstance(node, ast.ClassDef):
            public = [one for one in node.body if isinstance(one, FUNCTIONS) and not one.name.startswith("_")]
            if len(public) > WIDE:
                what = f"class {node.name} has {len(public)} public methods"
                yield _found("info", f"{path}:{node.lineno}", what, "give a part of them to an object of its own")


def _function(location: str, node: ast.FunctionDef | ast.AsyncFunctionDef) -> Iterator[Json]:
    length = (node.end_lineno or node.lineno) - node.lineno + 1
    arguments = node.args
    count = len([*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs])
    if length > LONG_FUNCTION:
        yield _found("info", location, f"{node.name} has {length} lines", "name its steps, and make each a function")
    if count > MANY_PARAMETERS:
        yield _found(
            "info", location, f"{node.name} has {count} parameters", "put those that go together into one object"
        )
    if (depth := _depth(node)) > DEEP:
        yield _found(
            "info",
            location,
            f"{node.name} has {depth} blocks within each other",
            "return early, or take out the inner ones",
        )


def _depth(node: ast.AST) -> int:
    """Blocks within blocks; an ``elif`` is no deeper than its ``if``."""
    deepest = 0
    for child in ast.iter_child_nodes(node):
        if isinstance(child, (*FUNCTIONS, ast.ClassDef)):
            continue
        chained = isinstance(node, ast.If) and isinstance(child, ast.If) and node.orelse == [child]
        deepest = max(deepest, _depth(child) + (isinstance(child, _BLOCKS) and not chained))
    return deepest


def _outline(path: str, tree: ast.Module, imports: Mapping[str, int]) -> str:
    names: list[str] = []
    for node in tree.body:
        if isinstance(node, FUNCTIONS):
            names.append(f"def {node.name}({ast.unparse(node.args)})")
        elif isinstance(node, ast.ClassDef):
            methods = ", ".join(one.name for one in node.body if isinstance(one, FUNCTIONS))
            names.append(f"class {node.name}: {methods}")
    return "\n  ".join([f"{path} imports {', '.join(imports) or 'nothing of the repository'}", *names])
