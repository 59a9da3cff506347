"""How hard a request is and what it is about, told from the request alone: no model is asked, like requests get like verdicts.

Complexity, of the last user message:

- *simple*: one fact, or a mechanical transformation of a text, however long; answered in a sentence or two.
- *medium*: several steps, or a paragraph or more: explain, compare, summarise a page, draft a letter, write a function.
- *complex*: several constraints to be met at once: design, proof, debugging, long plans, analysis of several sources.

Kind, the first that applies:

- *code*: write, change, explain or debug program text or commands.
- *extraction*: find, classify or reshape what stands in a given text.
- *math*: calculate, solve, prove.
- *reasoning*: weigh, plan, decide; apply rules to a case.
- *writing*: produce or reword prose: letters, stories, translations, summaries.
- *chat*: everything else: questions and conversation.

Complexity is a sum of points (``simple`` below 1, ``complex`` from 3): the weightiest cue in what is asked, further cues,
constraints, enumerated demands and length; text that is pasted for a mechanical task counts nothing. Many tools or a long
conversation make it one level harder. Cues are words of English, German, French and Spanish; in another language only
length, numbers and program text speak.
"""

import re

import msgspec

from clew.gate.ports.model import ModelRequest, Text, ToolResponse
from clew.models import cues
from clew.models.catalog import Complexity

KINDS = ("code", "extraction", "math", "reasoning", "writing", "chat")

_LEVELS: tuple[Complexity, ...] = ("simple", "medium", "complex")
_MEDIUM, _COMPLEX = 1.0, 3.0
_MANY_TOOLS = 8
_LONG_CONTEXT = 32_000
"""Characters of a conversation, about 8,000 tokens, from which finding the thread is work of its own."""

_HEAD, _TAIL = 3000, 1000
"""Characters of a message that are searched: instructions stand at its beginning or its end."""

_FACT_WORDS = 16
"""A question of fact longer than this says more than it asks."""


class Verdict(msgspec.Struct, frozen=True):
    """``points``: the sum that the complexity was read from, in tenths."""

    complexity: Complexity
    kind: str
    points: int


_FENCE = re.compile(r"```.*?(?:```|\Z)", re.DOTALL)
_NUMBER = re.compile(r"\d+(?:[.,]\d+)*")


def classify(request: ModelRequest) -> Verdict:
    """The verdict on the request's last user message, with its tools and the length of the conversation."""
    message = _last_words(request)
    whole = message if len(message) <= _HEAD + _TAIL else f"{message[:_HEAD]}\n\n{message[-_TAIL:]}"
    ask = _asked(_FENCE.sub(" ", whole))
    kind = _kind(whole, ask)
    points = _points(ask)
    level = 2 if points >= _COMPLEX else 1 if points >= _MEDIUM else 0
    if len(request.tools) > _MANY_TOOLS or _length(request) > _LONG_CONTEXT:
        level = min(2, level + 1)
    return Verdict(_LEVELS[level], kind, round(points * 10))


def _last_words(request: ModelRequest) -> str:
    for message in reversed(request.messages):
        if message.role == "user":
            return "\n".join(part.content for part in message.parts if isinstance(part, Text))
    return ""


def _length(request: ModelRequest) -> int:
    return sum(_size(part) for message in request.messages for part in message.parts)


def _size(part: object) -> int:
    if isinstance(part, Text):
        return len(part.content)
    return len(part.response) if isinstance(part, ToolResponse) and isinstance(part.response, str) else 0


def _asked(text: str) -> str:
    """What is asked, without the text that it is to be done on, where a first line asks and a text follows."""
    text = text.strip()
    if cues.MECHANICAL.begins(text):
        return re.split(r":\s|\n", text, maxsplit=1)[0]
    first, _, rest = text.partition("\n")
    asks = any(cue.search(first) for cue in (cues.HARD, cues.DEMANDING, cues.STEPS))
    return first if rest and asks and first.rstrip().endswith((":", ".")) else text


def _kind(whole: str, ask: str) -> str:
    if cues.CODE_TEXT.search(whole) or cues.CODE.search(ask):
        return "code"
    head = ask.split("\n", 1)[0]
    if cues.EXTRACTION.search(head):
        return "extraction"
    if cues.FORMULA.search(head) or cues.MATH.search(head):
        return "math"
    if cues.REASONING.search(ask):
        return "reasoning"
    return "writing" if cues.WRITING.search(head) else "chat"


def _points(ask: str) -> float:
    hard, demanding, steps = (len(_distinct(cue, ask)) for cue in (cues.HARD, cues.DEMANDING, cues.STEPS))
    points = 3.0 if hard else 1.5 if demanding else 1.3 if steps else 0.0
    points += 0.6 * min(max(hard + demanding - 1, 0), 4)
    words = max(len(ask.split()), len(ask) // 8)  # scripts that put no space between words have words too
    constraints = len(_distinct(cues.CONSTRAINTS, ask)) + len(cues.ITEMS.all(ask))
    points += 0.15 * min(max(constraints - 1, 0), 8) + 0.1 * min(max(len(cues.CLAUSES.all(ask)) - 3, 0), 10)
    points += sum(0.4 for bound in (20, 35, 60, 100) if words > bound)
    if len(_NUMBER.findall(ask)) >= 3 and words > 15:
        points += 0.5
    if not hard and words <= _FACT_WORDS and cues.FACT.begins(ask):
        points -= 0.7 if steps or demanding else 1.0
    if cues.SHORT.search(ask):
        points -= 0.7
    if cues.MECHANICAL.begins(ask):
        points -= 0.7
    return points


def _distinct(cue: cues.Cue, text: str) -> set[str]:
    return {hit.lower() for hit in cue.all(text)}
