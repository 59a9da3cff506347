"""Instructions: a text in the manifest, a file of the project, or one of those that come with Clew."""

from clew.manifest.context import Context
from clew.manifest.problems import Path
from clew.manifest.prompts import PROMPTS

_ENDINGS = (".md", ".txt")
_SHIPPED = "clew:"


def is_file(instructions: str) -> bool:
    """A single line without spaces that ends in ``.md`` or ``.txt`` is a path; everything else is the text itself."""
    return instructions.endswith(_ENDINGS) and not any(letter.isspace() for letter in instructions)


def load_texts(context: Context) -> dict[Path, str]:
    """The text of every ``instructions``, by path; what cannot be read is reported."""
    given: list[tuple[Path, str | None]] = []
    for index, node in enumerate(context.project.workflow.nodes):
        given.append((("workflow", "nodes", index, "instructions"), node.instructions))
    for index, agent in enumerate(context.project.agents):
        given.append((("agents", index, "instructions"), agent.instructions))
    texts: dict[Path, str] = {}
    for path, instructions in given:
        if instructions is None or not context.sound(path):
            continue
        text = _text(context, path, instructions)
        if text is not None:
            texts[path] = text
    return texts


def _text(context: Context, path: Path, instructions: str) -> str | None:
    if instructions.startswith(_SHIPPED) and not any(letter.isspace() for letter in instructions):
        context.refer(path, instructions, PROMPTS, "instructions that come with Clew")
        return PROMPTS.get(instructions)
    return _read(context, path, instructions) if is_file(instructions) else instructions


def _read(context: Context, path: Path, relative: str) -> str | None:
    data = context.sources.bytes_of(relative, context.mark(path), path)
    if data is None:
        return None
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        context.report(path, "encoding", f"{relative} is not UTF-8 (byte {error.start}); save it as UTF-8")
        return None
    if "\0" in text:
        context.report(path, "encoding", f"{relative} contains a NUL character; instructions are text")
        return None
    return text
