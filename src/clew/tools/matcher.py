"""A program of its own (``python -I -S matcher.py``) that runs one regular expression over many texts.

Python's engine backtracks, so a pattern can take for ever or take all memory, and it holds the interpreter lock while
it does: only another process can be stopped. Standard library only; what it reads is data, never code.

Input: a JSON line ``{"pattern", "ignore_case", "most", "width"}``, then for each file a JSON line ``{"path", "bytes"}``
and the bytes. Output: a JSON line for each match ``{"path", "line", "text"}``, at the end ``{"done"}``, or ``{"error"}``.
"""

import json
import re
import resource
import sys
from typing import Any

_MEMORY = 512 * 1024 * 1024
_CPU_S = 30


def main() -> None:
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))
    resource.setrlimit(resource.RLIMIT_CPU, (_CPU_S, _CPU_S))
    source, sink = sys.stdin.buffer, sys.stdout
    job = json.loads(source.readline())
    try:
        pattern = re.compile(job["pattern"], re.IGNORECASE if job["ignore_case"] else 0)
        left = job["most"]
        while left > 0 and (head := source.readline()):
            file: dict[str, Any] = json.loads(head)
            for number, line in enumerate(source.read(file["bytes"]).decode("utf-8", "replace").split("\n"), 1):
                if pattern.search(line):
                    text = line.rstrip("\r")[: job["width"]]
                    sink.write(json.dumps({"path": file["path"], "line": number, "text": text}) + "\n")
                    left -= 1
                    if left == 0:
                        break
            sink.flush()
    except (re.error, OverflowError, RecursionError, MemoryError) as error:
        sink.write(json.dumps({"error": f"{type(error).__name__}: {error}"[:300]}) + "\n")
    else:
        sink.write(json.dumps({"done": True}) + "\n")
    sink.flush()


if __name__ == "__main__":
    main()
