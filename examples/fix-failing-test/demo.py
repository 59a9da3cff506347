"""``make demo``: a small, genuine, buggy package is copied into a temporary folder, and the workflow repairs the copy."""

import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
CLEW = Path(sys.executable).parent / "clew"


def shown(path: Path) -> str:
    """Relative to where the user stands, if it is below."""
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else str(path)


def paint(line: str) -> str:
    """One line of a diff, coloured where there is a terminal."""
    colour = {"+": "32", "-": "31", "@": "36"}.get(line[:1])
    return f"\033[{colour}m{line}\033[0m" if colour and sys.stdout.isatty() else line


def report(result: dict[str, Any]) -> None:
    output = result["output"] or {}
    print("\n".join(["", *(paint(line) for line in output.get("diff", "").splitlines()), ""]))
    for title in ("tests_before", "tests_after"):
        counts = output.get(title)
        if counts:
            said = ", ".join(f"{count} {what}" for what, count in counts.items() if count)
            print(f"  {title.replace('_', ' '):<13} {said}")
    if output.get("file"):
        print(
            f"  repaired      {output['file']}:{output['line']} ({output['operator']}), {output['tried']} candidates tried"
        )
    clew, run = shown(CLEW), result["run"]
    print(
        f"\n  run           {run}   {result['status'] or result['state']}, cost ${result.get('cost') or 0}, no model was asked"
    )
    print("\n  look back with:")
    for command, what in (
        (f"show {run}", "what every node got, did and gave"),
        (f"replay {run}", "walk it again; nothing is performed"),
        (f"verify {run}", "check the hash chain and the ledger"),
        (f"show {run} --events", "the events, with their numbers; fork at one of them:"),
        (f"fork {run} --at SEQ --dry-run", "what would be kept, and what performed anew"),
    ):
        print(f"    {clew} {command:<38} # {what}")


def main() -> int:
    with tempfile.TemporaryDirectory(prefix="clew-demo-") as scratch:
        repo = Path(scratch) / "slots"
        shutil.copytree(HERE / "demo", repo, ignore=shutil.ignore_patterns("__pycache__", ".pytest_cache"))
        print(
            f"{repo} is a copy of {shown(HERE / 'demo')}.\nSome of its tests fail; nobody told the workflow why.\n",
            flush=True,
        )
        command = [str(CLEW), "run", str(HERE), "--input", json.dumps({"repo": str(repo)}), "--watch", "--json"]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    if not done.stdout.strip():
        return done.returncode or 1
    result: dict[str, Any] = json.loads(done.stdout)
    if "error" in result and "run" not in result:
        print(f"error: {result['error']}", file=sys.stderr)
        return done.returncode or 1
    report(result)
    return done.returncode


if __name__ == "__main__":
    sys.exit(main())
