"""Functions that are to be written: a signature, a docstring with examples, no body; and how a body gets into its file."""

import ast
import doctest
import re
import textwrap

import msgspec

from clew.core.errors import Failure

_FENCE = re.compile(r"```(?:python|py)?[ \t]*\n(.*?)```", re.DOTALL)
_PLAIN = (0, 1, 2, -1, "", " ")
_MOST_CONSTANTS = 14
_QUOTED = re.compile(r"[\"'`]([^\"'`\n]{1,12})[\"'`]")
_NUMBER = re.compile(r"(?<![\w.])-?\d{1,6}(?!\w|\.\d)")

Function = ast.FunctionDef


class Stub(msgspec.Struct, frozen=True):
    """``header``: the definition down to its colon; ``rows`` and ``wants``: parameters and results of its examples, as literals."""

    name: str
    header: str
    doc: str
    parameters: list[str]
    rows: list[list[str]]
    wants: list[str]
    constants: list[str]
    imports: list[str]


def stub_in(instructions: str, file: str) -> Stub:
    """The one function that is to be written: given in the instructions, else a stub of the file that they name, or its only one.

    Raises Failure(offline_cannot) that says what is missing.
    """
    given = _parsed(instructions)
    found = [] if given is None else [node for node in given.body if isinstance(node, Function)]
    source = given
    if not found:
        source = _tree(file)
        stubs = [node for node in (source.body if source else []) if isinstance(node, Function) and is_stub(node)]
        named = [node for node in stubs if re.search(rf"\b{re.escape(node.name)}\b", instructions)]
        found = named or stubs
    if len(found) != 1 or source is None:
        what = "several functions" if found else "no function with a signature"
        raise _cannot(f"the instructions give {what}")
    (node,) = found
    if not is_stub(node):
        raise _cannot(f"{node.name} has a body already")
    imports = [ast.unparse(one) for one in source.body if isinstance(one, ast.Import | ast.ImportFrom)]
    return _stub(node, imports if source is given else [])


def _cannot(why: str) -> Failure:
    return Failure(
        f"{why}; without a model a function is found from its signature and at least two examples in its docstring",
        code="offline_cannot",
        hint="name a model, give the content, or add examples",
    )


def _parsed(instructions: str) -> ast.Module | None:
    """The Python in a text: all of it, a fenced block, or what begins with a definition."""
    start = re.search(r"^[ \t]*(?:from |import |def )", instructions, re.MULTILINE)
    texts = [instructions, *_FENCE.findall(instructions), instructions[start.start() :] if start else ""]
    trees = (_tree(textwrap.dedent(text)) for text in texts)
    return next((tree for tree in trees if tree and any(isinstance(node, Function) for node in tree.body)), None)


def _tree(text: str) -> ast.Module | None:
    try:
        return ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None


def is_stub(node: ast.FunctionDef) -> bool:
    """Whether the body holds nothing besides its docstring, ``...``, ``pass`` and ``raise NotImplementedError``."""
    return all(
        isinstance(one, ast.Pass)
        or (isinstance(one, ast.Expr) and isinstance(one.value, ast.Constant))
        or (isinstance(one, ast.Raise) and one.exc is not None and "NotImplementedError" in ast.unparse(one.exc))
        for one in node.body
    )


def _stub(node: ast.FunctionDef, imports: list[str]) -> Stub:
    arguments = node.args
    if arguments.vararg or arguments.kwarg:
        raise _cannot(f"{node.name} takes any number of arguments")
    names = [one.arg for one in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs)]
    text = ast.get_docstring(node) or ""
    rows: list[list[str]] = []
    wants: list[str] = []
    parts = doctest.DocTestParser().parse(text)
    for example in (part for part in parts if isinstance(part, doctest.Example)):
        row, want = _row(node, names, example.source), _literal(example.want.strip())
        if row is not None and want is not None and not example.exc_msg:
            rows.append(row)
            wants.append(want)
    if len(set(zip(map(tuple, rows), wants, strict=True))) < 2:
        raise _cannot(f"{node.name} has {len(rows)} examples that can be read")
    prose = "\n".join(part for part in parts if isinstance(part, str))
    return Stub(
        name=node.name,
        header=_header(node),
        doc=text,
        parameters=names,
        rows=rows,
        wants=wants,
        constants=_constants(prose, rows, wants),
        imports=imports,
    )


def _row(node: ast.FunctionDef, names: list[str], source: str) -> list[str] | None:
    """The parameters' values in one example; None for what is no call of the function with literals."""
    tree = _tree(source.strip())
    call = tree.body[0].value if tree and len(tree.body) == 1 and isinstance(tree.body[0], ast.Expr) else None
    if not isinstance(call, ast.Call) or not isinstance(call.func, ast.Name) or call.func.id != node.name:
        return None
    positional = [*node.args.posonlyargs, *node.args.args]
    defaults = dict(zip([one.arg for one in positional][::-1], node.args.defaults[::-1], strict=False))
    defaults |= {
        one.arg: value for one, value in zip(node.args.kwonlyargs, node.args.kw_defaults, strict=True) if value
    }
    given: dict[str, ast.expr] = {**defaults, **dict(zip((one.arg for one in positional), call.args, strict=False))}
    given |= {word.arg: word.value for word in call.keywords if word.arg}
    if len(call.args) > len(positional) or set(given) - set(names) or set(names) - set(given):
        return None
    texts = [_literal(ast.unparse(given[name])) for name in names]
    return None if None in texts else [text for text in texts if text is not None]


def _literal(text: str) -> str | None:
    try:
        return repr(ast.literal_eval(text))
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        return None


def _constants(prose: str, rows: list[list[str]], wants: list[str]) -> list[str]:
    """What the function may need to know: numbers and quoted words of its docstring, marks in its results, its few results."""
    found = dict.fromkeys(repr(value) for value in _PLAIN)
    found.update(dict.fromkeys(repr(word) for word in _QUOTED.findall(prose)))
    found.update(dict.fromkeys(repr(int(number)) for number in _NUMBER.findall(prose)))
    values = [ast.literal_eval(text) for text in wants]
    shown = "".join(value for value in values if isinstance(value, str))
    given = "".join(text for row in rows for text in row)
    found.update(dict.fromkeys(repr(mark) for mark in shown if not mark.isalnum() and not mark.isspace()))
    found.update(
        dict.fromkeys(repr(mark) for mark in given if mark in "-_/:;.,+|" and isinstance(values[0], str | list | int))
    )
    if len(set(wants)) <= 4:
        found.update(dict.fromkeys(want for want in wants if len(want) <= 20 and want not in ("True", "False")))
    return list(found)[:_MOST_CONSTANTS]


def _header(node: ast.FunctionDef) -> str:
    lines = ast.unparse(node).split("\n")
    return "\n".join(lines[: next(i for i, line in enumerate(lines) if line.startswith("def ")) + 1])


def written(stub: Stub, expression: str, file: str | None) -> str:
    """The file with the function in it: in the place of its stub, else at the end, before what runs as a program.

    Raises Failure(exists) for a function of that name which is no stub.
    """
    body = ast.unparse(ast.parse(expression, mode="eval"))
    function = _spelled(stub, body)
    text = file or ""
    tree = _tree(text)
    lines = text.splitlines(keepends=True)
    there = next((n for n in (tree.body if tree else []) if isinstance(n, Function) and n.name == stub.name), None)
    if there is not None:
        if not is_stub(there):
            raise Failure(f"{stub.name} is there already", code="exists")
        start = min([there.lineno, *(one.lineno for one in there.decorator_list)])
        return "".join([*lines[: start - 1], f"{function}\n", *lines[there.end_lineno :]])
    missing = [one for one in stub.imports if one not in text]
    at = _main_line(tree) if tree else None
    before, after = "".join(lines[: at - 1] if at else lines), "".join(lines[at - 1 :] if at else [])
    before = _imported(before, missing).rstrip("\n")
    return f"{before}\n\n\n{function}\n" + (f"\n\n{after}" if after else "") if before else f"{function}\n"


def _spelled(stub: Stub, body: str) -> str:
    """The definition with its docstring line by line, which ``ast.unparse`` would make one of."""
    doc = stub.doc.replace("\\", "\\\\").replace('"""', '\\"\\"\\"')
    told = textwrap.indent(doc, "    ").lstrip()
    closing = '"""' if "\n" not in doc else '\n    """'
    return "\n".join([stub.header, f'    """{told}{closing}', f"    return {body}"])


def _main_line(tree: ast.Module) -> int | None:
    for node in tree.body:
        if isinstance(node, ast.If) and "__name__" in ast.unparse(node.test):
            return node.lineno
    return None


def _imported(text: str, missing: list[str]) -> str:
    tree = _tree(text)
    if not missing or tree is None:
        return text
    lines = text.splitlines(keepends=True)
    heads = [node for node in tree.body if isinstance(node, ast.Import | ast.ImportFrom)]
    doc = tree.body[:1] if tree.body and isinstance(tree.body[0], ast.Expr) else []
    at = max((node.end_lineno or node.lineno for node in (heads or doc)), default=0)
    gap = ["\n"] if at and not heads else []
    return "".join([*lines[:at], *gap, *(f"{one}\n" for one in missing), *lines[at:]])
