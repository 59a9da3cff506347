"""Tools of the agents that look into the directory, and the sentences in which facts are told."""

import re
from typing import Any

from survey import survey
from tree import Walk, opened, read, shown

from clew import Failure
from clew.tools.text import decode, split_lines
from clew.tools.validate import file_errors

_MOST_SEARCHED = 32 * 1024 * 1024
_MOST_SHOWN = 8_000


def look(args: dict[str, Any], context: Any) -> dict[str, Any]:
    """What the facts say about one topic, as a sentence."""
    return {"topic": args["topic"], "statement": told(args["topic"], survey(args, context))}


def find_text(args: dict[str, Any], context: Any) -> dict[str, Any]:
    """Where a text stands, counted, whatever its case."""
    return {
        "topic": "text",
        "term": args["term"],
        "statement": _found(args["term"], search(args["tree"], args["term"])),
    }


def read_lines(args: dict[str, Any], context: Any) -> dict[str, Any]:
    """Lines of one text file."""
    start = args.get("start", 1)
    with opened(args["tree"]) as root, file_errors(args["path"]):
        _, data = read(root, args["path"])
    if data is None:
        raise Failure(f"{args['path']} is too large to be read", code="too_large")
    lines = split_lines(decode(data, args["path"]))
    text = "".join(lines[start - 1 : start - 1 + args.get("lines", 200)])
    return {
        "path": args["path"],
        "lines": len(lines),
        "start": start,
        "text": text[:_MOST_SHOWN],
        "cut": len(text) > _MOST_SHOWN,
    }


def search(ticket: str, term: str) -> dict:
    """Files and lines that hold the term, and the first places."""
    pattern = re.compile(re.escape(term), re.IGNORECASE)
    files = lines = searched = 0
    first: list[str] = []
    room = _MOST_SEARCHED
    with opened(ticket) as root:
        for found in Walk(root).files:
            if found.size > room:
                continue
            try:
                _, data = read(root, found.path)
            except OSError:
                continue
            if data is None or b"\0" in data[:8192]:
                continue
            room -= len(data)
            searched += 1
            hits = [n for n, line in enumerate(data.decode("utf-8", "replace").split("\n"), 1) if pattern.search(line)]
            files += bool(hits)
            lines += len(hits)
            first += [f"{shown(found.path)}:{hit}" for hit in hits[: 5 - len(first)]]
    return {"files": files, "lines": lines, "files_searched": searched, "first": first}


def many(count: int, noun: str) -> str:
    """A number of things in words."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def _found(term: str, hits: dict[str, Any]) -> str:
    searched = many(hits["files_searched"], "text file")
    if not hits["lines"]:
        return f"“{term}” was not found; {searched} searched."
    where = f"in {many(hits['lines'], 'line')} of {many(hits['files'], 'file')}, with {searched} searched"
    return f"“{term}” stands {where}; first at {', '.join(hits['first'])}."


def told(topic: str, facts: dict[str, Any]) -> str:
    """The facts of a topic in words; every number in it is one of them."""
    return TOLD[topic](facts[topic])


def _size(f: dict[str, Any]) -> str:
    counted = f"{many(f['files'], 'file')} in {many(f['folders'], 'folder')}, {many(f['bytes'], 'byte')}."
    kinds = f" Text files: {f['text_files']}, with {many(f['lines'], 'line')}. Binary files: {f['binary_files']}."
    links = f" Links, not followed: {f['links']}." if f["links"] else ""
    return counted + kinds + links + (" There are more files than are looked at." if f["truncated"] else "")


def _languages(found: list[dict[str, Any]]) -> str:
    if not found:
        return "There is no text file."
    shares = [
        f"{f['language']} ({many(f['files'], 'file')}, {many(f['lines'], 'line')}, {f['percent_of_lines']} %)"
        for f in found
    ]
    return f"By lines: {', '.join(shares)}."


def _imports(f: dict[str, Any]) -> str:
    if not f["python_files"]:
        return "There are no Python files; imports of other languages are not read."
    said = [f"{many(f['python_files'], 'Python file')}."]
    for kind, name in _KINDS.items():
        top = ", ".join(f"{m['module']} ({m['files']})" for m in f[kind]["most_used"]) or "none"
        said.append(f"{name}, {many(f[kind]['modules'], 'module')}, by files that import them: {top}.")
    return " ".join(said)


def _largest(found: list[dict[str, Any]]) -> str:
    if not found:
        return "There is no file."
    files = [
        f"{f['path']} ({f['bytes']} bytes" + (f", {many(f['lines'], 'line')})" if "lines" in f else ")") for f in found
    ]
    return f"The largest files: {', '.join(files)}."


def _entries(f: dict[str, Any]) -> str:
    if not f["count"]:
        return "No entry point was recognised."
    return f"Entry points, {f['count']} in all: " + "; ".join(f"{e['path']} {e['why']}" for e in f["first"]) + "."


def _tests(f: dict[str, Any]) -> str:
    if not f["files"]:
        return "No test file was recognised by its name."
    functions = many(f["functions"], "Python test function")
    return f"{many(f['files'], 'test file')} with {functions}: {', '.join(f['first'])}."


def _structure(f: dict[str, Any]) -> str:
    folders = ", ".join(f"{x['folder']}/ ({many(x['files'], 'file')})" for x in f["first_folders"]) or "none"
    loose = ", ".join(f["first_files"]) or "none"
    return f"At the top: {many(f['folders'], 'folder')}: {folders}; {many(f['loose_files'], 'file')} beside: {loose}."


def _purpose(readme: dict[str, Any] | None) -> str:
    if readme is None:
        return "There is no readme at the top that would say."
    text = f": “{readme['text']}”" if readme["text"] else "."
    return f"{readme['path']} says “{readme['title']}”{text}"


_KINDS = {
    "third_party": "Third-party (neither standard nor found here)",
    "standard": "Standard library",
    "local": "Local",
}
TOLD = {
    "size": _size,
    "languages": _languages,
    "imports": _imports,
    "largest": _largest,
    "entry_points": _entries,
    "tests": _tests,
    "structure": _structure,
    "purpose": _purpose,
}
