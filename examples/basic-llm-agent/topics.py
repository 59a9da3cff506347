"""What can be asked of a directory: the words that point at a topic, the question behind it, the step that answers it.

A table, so that the example does something true without a model; an agent with a model may use it too, or think for itself.
"""

import re
from typing import Any

WORDS = {
    "overview": "overview summary summarise summarize everything",
    "size": "big large size total files lines loc bytes",
    "languages": "language languages written programming python javascript typescript rust java",
    "imports": "import imports imported depend depends dependency dependencies library libraries package packages module modules",
    "largest": "largest biggest longest heaviest huge",
    "entry_points": "entry run runs start starts main launch command commands script scripts executable",
    "tests": "test tests tested testing pytest unittest",
    "structure": "structure layout organised organized folder folders directories tree subdirectories",
    "purpose": "purpose about readme describe description project what",
}
QUESTIONS = {
    "size": "How many files and lines are there, and how large are they?",
    "languages": "Which languages is it written in, and how much of each?",
    "imports": "Which modules are imported: its own, the standard library's, third parties'?",
    "largest": "Which files are the largest?",
    "entry_points": "Where does a run begin?",
    "tests": "What tests are there?",
    "structure": "Which folders and files lie at the top, and how much is below them?",
    "purpose": "What does its readme say that it is?",
    "text": "Where does it stand in the files?",
}
OVERVIEW = ("purpose", "size", "languages", "structure", "entry_points", "imports", "tests")
JUDGEMENT = (
    "why should better best worse good bad quality safe secure security correct clean improve refactor opinion "
    "recommend think maintainable readable elegant bug bugs fast slow design well"
)
_LAST_RESORT = "purpose"
_SENTENCE = re.compile(r"[^.?!\n]+(?:[.?!](?!\s|$)[^.?!\n]*)*[.?!]*")
_QUOTED = re.compile(r"[\"'`“‘]([^\"'`”’\n]{2,100})[\"'`”’]")
_NAME = re.compile(r"\b(?:\w+_\w+|[a-z]+[A-Z]\w+|[A-Z][a-z]+[A-Z]\w*|\w+\(\))")
_MOST_SENTENCES = 20
_MOST_TERMS = 5


def match_topics(args: dict[str, Any], context: Any) -> dict[str, Any]:
    """Topics of a question by its words; what stands in quotes or looks like a name is searched for; the rest is said."""
    topics, terms, unanswered = {}, {}, []
    sentences = [s.strip() for s in _SENTENCE.findall(args.get("question", "")) if re.search(r"\w", s)][
        :_MOST_SENTENCES
    ]
    for sentence in sentences:
        sought = [
            term.removesuffix("()") for term in (*_QUOTED.findall(sentence), *_NAME.findall(_QUOTED.sub(" ", sentence)))
        ]
        words = set(re.findall(r"\w+", _QUOTED.sub(" ", sentence).casefold()))
        found = [topic for topic, known in WORDS.items() if words & set(known.split())]
        if len(found) > 1 and _LAST_RESORT in found:
            found.remove(_LAST_RESORT)
        if sought:
            found = [topic for topic in found if topic not in (_LAST_RESORT, "structure")]
        if words & set(JUDGEMENT.split()) or not (found or sought):
            unanswered.append(f"{sentence} (this takes judgement or knowledge that counting does not give)")
        topics |= dict.fromkeys(OVERVIEW if "overview" in found else found)
        terms |= dict.fromkeys(sought)
    chosen = list(topics) or ([] if terms else list(OVERVIEW))
    return {"topics": chosen, "terms": list(terms)[:_MOST_TERMS], "unanswered": unanswered}


def list_questions(args: dict[str, Any], context: Any) -> dict[str, Any]:
    """One question for each topic, and one for each term that is to be searched for."""
    asked = [
        {"topic": topic, "ask": QUESTIONS[topic]} for topic in args["topics"] if topic in QUESTIONS and topic != "text"
    ]
    sought = [{"topic": "text", "ask": QUESTIONS["text"], "term": term} for term in args["terms"]]
    return {"parts": asked + sought}


def list_steps(args: dict[str, Any], context: Any) -> dict[str, Any]:
    """The tool call that answers each part."""
    steps = [
        {"tool": "find_text", "args": {"tree": args["tree"], "term": part["term"]}, "answers": part["ask"]}
        if "term" in part
        else {"tool": "look", "args": {"tree": args["tree"], "topic": part["topic"]}, "answers": part["ask"]}
        for part in args["parts"]
    ]
    return {"steps": steps}
