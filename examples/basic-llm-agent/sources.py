"""What one file says about itself: lines, language, imports, entry points, tests. Read as text; nothing is executed."""

import json
import re
import tomllib
from pathlib import PurePosixPath
from typing import NamedTuple

LANGUAGES = {
    ".py": "Python", ".pyi": "Python", ".js": "JavaScript", ".mjs": "JavaScript", ".cjs": "JavaScript", ".jsx": "JavaScript",
    ".ts": "TypeScript", ".tsx": "TypeScript", ".go": "Go", ".rs": "Rust", ".c": "C", ".h": "C", ".cc": "C++", ".cpp": "C++",
    ".hpp": "C++", ".java": "Java", ".kt": "Kotlin", ".rb": "Ruby", ".php": "PHP", ".cs": "C#", ".swift": "Swift",
    ".scala": "Scala", ".sh": "Shell", ".bash": "Shell", ".pl": "Perl", ".lua": "Lua", ".r": "R", ".sql": "SQL",
    ".html": "HTML", ".css": "CSS", ".scss": "CSS", ".md": "Markdown", ".rst": "reStructuredText", ".txt": "plain text",
    ".json": "JSON", ".yaml": "YAML", ".yml": "YAML", ".toml": "TOML", ".ini": "INI", ".cfg": "INI", ".xml": "XML",
    ".csv": "CSV", ".tex": "TeX", ".vue": "Vue",
}  # fmt: skip
NAMES = {"Makefile": "Make", "Dockerfile": "Docker", "LICENSE": "plain text", "README": "plain text"}
INTERPRETERS = (("python", "Python"), ("bash", "Shell"), ("sh", "Shell"), ("node", "JavaScript"), ("perl", "Perl"))

_OPAQUE = re.compile(
    r'(?s)"""(?:[^\\]|\\.)*?"""|\'\'\'(?:[^\\]|\\.)*?\'\'\'|"(?:[^"\\\n]|\\.)*"|\'(?:[^\'\\\n]|\\.)*\'|#[^\n]*'
)
_IMPORT = re.compile(
    r"(?m)(?:^|[;:])[ \t]*(?:from(?:[ \t]+|(?=\.))(\.*[ \t]*[\w.]*)[ \t]*\bimport\b|import[ \t]+([^\n;]+))"
)
_TEST = re.compile(r"(?m)^[ \t]*(?:async[ \t]+)?def[ \t]+test\w*[ \t]*\(")
_MAIN = {
    "Python": re.compile(r"""(?m)^if[ \t]+__name__[ \t]*==[ \t]*['"]__main__['"]"""),
    "Go": re.compile(r"(?m)^func main\(\)"),
    "Rust": re.compile(r"(?m)^(?:pub )?fn main\(\)"),
    "C": re.compile(r"(?m)^int main\("),
    "C++": re.compile(r"(?m)^int main\("),
    "Java": re.compile(r"public static void main\("),
}
_TEST_FILE = re.compile(r"(?:^test_.+|.+_test|.+\.test|.+\.spec)\.[a-z]+$|^conftest\.py$")
_MOST_PARSED = 1 << 20


class FileFacts(NamedTuple):
    """``imports``: modules as Python names them (``.`` first: relative). ``entries``: why a run may begin here."""

    lines: int
    language: str
    imports: tuple[str, ...]
    entries: tuple[str, ...]
    tests: int


def describe(path: str, data: bytes) -> FileFacts | None:
    """None: not text."""
    if b"\0" in data[:8192]:
        return None
    text = data.decode("utf-8", "replace")
    language = language_of(path, text)
    code = _OPAQUE.sub('""', text).replace("\\\n", " ") if language == "Python" and len(text) <= _MOST_PARSED else ""
    lines = data.count(b"\n") + (not data.endswith(b"\n") and bool(data))
    tests = len(_TEST.findall(code)) if is_test(path) else 0
    return FileFacts(lines, language, imports_of(code), entries_of(path, language, text), tests)


def language_of(path: str, text: str) -> str:
    name = PurePosixPath(path)
    if text.startswith("#!") and not name.suffix:
        first = text[:200].partition("\n")[0]
        return next((language for word, language in INTERPRETERS if word in first), "other text")
    return LANGUAGES.get(name.suffix.lower()) or NAMES.get(name.name) or "other text"


def imports_of(code: str) -> tuple[str, ...]:
    """``code``: Python without its strings and comments."""
    found: dict[str, None] = {}
    for module, modules in _IMPORT.findall(code):
        for one in [module] if module else modules.split(","):
            word = one.replace(" ", "").replace("\t", "") if module else (one.split() or [""])[0]
            name = word if word.startswith(".") else word.partition(".")[0]
            if name.startswith(".") or name.isidentifier():
                found[name] = None
    return tuple(found)


def entries_of(path: str, language: str, text: str) -> tuple[str, ...]:
    name = path.rpartition("/")[2]
    found: list[str] = []
    if name == "__main__.py":
        found.append("is run by python -m")
    elif language in _MAIN and _MAIN[language].search(text):
        found.append("has a main part")
    if text.startswith("#!"):
        found.append("names its interpreter in its first line")
    if name in ("pyproject.toml", "package.json") and len(text) <= _MOST_PARSED:
        found += _declared(name, text)
    return tuple(found)


def _declared(name: str, text: str) -> list[str]:
    """Commands that a package declares; nothing where the file is not what its name says."""
    try:
        read = tomllib.loads(text) if name == "pyproject.toml" else json.loads(text)
        scripts = read.get("project", {}).get("scripts", {}) if name == "pyproject.toml" else read.get("bin") or {}
        names = [scripts] if isinstance(scripts, str) else list(scripts)
        return [f"declares the command {str(one)[:80]}" for one in names[:5]]
    except (ValueError, AttributeError, TypeError, RecursionError):
        return []


def is_test(path: str) -> bool:
    return _TEST_FILE.search(path.rpartition("/")[2]) is not None
