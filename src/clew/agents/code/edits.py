"""Several edits of the files of a repository: each in bytes of its file as it was at first, disjoint and in order."""

from collections.abc import Mapping, Sequence
from hashlib import sha256

from clew.agents.code.mutate import Candidate, minimal
from clew.agents.code.records import Change, Edit


def of_file(edits: Sequence[Edit], file: str) -> list[Edit]:
    return [edit for edit in edits if edit.file == file]


def applied(data: bytes, edits: Sequence[Edit]) -> bytes:
    """One file with its edits."""
    parts: list[bytes] = []
    at = 0
    for edit in edits:
        parts += [data[at : edit.start], edit.text.encode()]
        at = edit.end
    return b"".join([*parts, data[at:]])


def composed(sources: Mapping[str, bytes], edits: Sequence[Edit], candidate: Candidate) -> list[Edit]:
    """``edits`` and then the candidate, which counts its bytes in the edited file. Those that it touches become one with it."""
    data, own = sources[candidate.path], of_file(edits, candidate.path)
    edited = applied(data, own)
    others = [edit for edit in edits if edit.file != candidate.path]
    low, high = candidate.start, candidate.end
    before: list[Edit] = []
    after: list[Edit] = []
    lead = inner = 0
    for edit in own:
        begin = edit.start + lead + inner
        grown = len(edit.text.encode()) - (edit.end - edit.start)
        stop = begin + grown + edit.end - edit.start
        if stop < candidate.start:
            before.append(edit)
            lead += grown
        elif begin > candidate.end:
            after.append(edit)
        else:
            low, high, inner = min(low, begin), max(high, stop), inner + grown
    text = edited[low : candidate.start] + candidate.text.encode() + edited[candidate.end : high]
    smaller = minimal(data, low - lead, high - lead - inner, text.decode())
    if smaller is not None:
        start, end, left = smaller
        line = data.count(b"\n", 0, start) + 1
        before.append(Edit(candidate.path, start, end, left.decode(), line, candidate.operator))
    return sorted([*others, *before, *after], key=lambda edit: (edit.file, edit.start, edit.end))


def changes(sources: Mapping[str, bytes], edits: Sequence[Edit]) -> list[Change]:
    """One change for each file that is edited: from its first edit to its last."""
    found: list[Change] = []
    for file in dict.fromkeys(edit.file for edit in edits):
        data, own = sources[file], of_file(edits, file)
        after, start, end = applied(data, own), own[0].start, own[-1].end
        text = after[start : len(after) - (len(data) - end)].decode()
        digests = (sha256(data).hexdigest(), sha256(after).hexdigest())
        found.append(Change(file, start, end, text, *digests))
    return found
