"""Examine this machine and the state directory: can runs be kept durably here, and code be run confined?"""

import asyncio
import re
import shutil
import sqlite3
import stat
import sys
import tempfile
from importlib import metadata
from pathlib import Path
from typing import Literal, get_args

import msgspec

from clew.core.errors import ClewError, Failure
from clew.gate.ports.journal import RunFilter
from clew.gate.ports.sandbox import Capabilities, Language
from clew.runtime.clock import SystemClock
from clew.sandbox import languages
from clew.service.inspect import inspect
from clew.service.settings import Settings, sandbox_of
from clew.service.wiring import Workspace, open_journal

Verdict = Literal["ok", "degraded", "failed"]
Status = Literal["healthy", "degraded", "unhealthy"]

TESTED = ((3, 11), (3, 13))
LOW_DISK, NO_DISK = 1 << 30, 64 << 20
"""Bytes: below the first it is said, below the second nothing can be relied upon."""
VERIFY_EVENTS = 100_000
"""Journals with more events are looked at in part: their newest runs."""
_NEWEST = 50
_WEAKER = "WEAKER"
_OF_THE_TIER = ("tier", "attempts", "tasks_measured", "workspace_measured")
_REQUIREMENT = re.compile(r"([A-Za-z0-9][A-Za-z0-9._-]*)\s*>=\s*([0-9.]+)")


class Check(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that was looked at. ``hint`` says how to mend it."""

    name: str
    verdict: Verdict
    message: str
    hint: str = ""


async def examine(settings: Settings) -> list[Check]:
    """All checks, each of which tries and reports; none raises."""
    near = _existing(settings.directory or Path(tempfile.gettempdir()))
    checks = [_python(), *_dependencies(), await asyncio.to_thread(_durable, near), _disk(near)]
    checks += await _state(settings)
    return [*checks, *await asyncio.to_thread(_sandbox, settings), _languages()]


def status_of(checks: list[Check]) -> Status:
    """The worst verdict, as a health."""
    verdicts = {check.verdict for check in checks}
    return "unhealthy" if "failed" in verdicts else "degraded" if "degraded" in verdicts else "healthy"


def _python() -> Check:
    version = sys.version.split()[0]
    if sys.version_info[:2] < TESTED[0]:
        return Check(name="python", verdict="failed", message=f"{version} is too old", hint="3.11 or newer is needed")
    if sys.version_info[:2] > TESTED[1]:
        return Check(name="python", verdict="degraded", message=f"{version} is newer than what Clew is tested with")
    return Check(name="python", verdict="ok", message=version)


def _dependencies() -> list[Check]:
    checks: list[Check] = []
    for requirement in metadata.requires("clew") or ():
        match = _REQUIREMENT.match(requirement)
        if match is None or "extra ==" in requirement:
            continue
        name, least = match[1], match[2]
        try:
            found = metadata.version(name)
        except metadata.PackageNotFoundError:
            checks.append(Check(name=name, verdict="failed", message="not installed", hint="install Clew again"))
            continue
        if _numbers(found) < _numbers(least):
            hint = f"{least} or newer is needed: install Clew again"
            checks.append(Check(name=name, verdict="failed", message=f"{found} is too old", hint=hint))
        else:
            checks.append(Check(name=name, verdict="ok", message=found))
    return checks


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"[0-9]+", version)[:3])


def _durable(near: Path) -> Check:
    """SQLite, and whether the file system under the state directory gives what a journal needs: tried on a journal of its own."""
    name = "sqlite"
    try:
        with tempfile.TemporaryDirectory(dir=near, prefix=".clew-doctor-") as directory:
            asyncio.run(_try_journal(Path(directory)))
    except OSError as error:
        return Check(
            name=name, verdict="failed", message=f"{near} cannot be written: {error.strerror}", hint="--state DIR"
        )
    except ClewError as error:
        return Check(name=name, verdict="failed", message=error.message, hint=error.hint)
    return Check(name=name, verdict="ok", message=f"{sqlite3.sqlite_version}, WAL with synchronous=FULL on {near}")


async def _try_journal(directory: Path) -> None:
    journal, _ = open_journal(Settings(state=str(directory)), SystemClock(), create=True)
    await journal.close()


def _disk(near: Path) -> Check:
    try:
        free = shutil.disk_usage(near).free
    except OSError as error:
        return Check(name="disk", verdict="failed", message=f"{near}: {error.strerror}")
    said = f"{free / (1 << 30):.1f} GiB free on {near}"
    if free < NO_DISK:
        return Check(
            name="disk", verdict="failed", message=said, hint="free some space; runs stop in order on a full disk"
        )
    if free < LOW_DISK:
        return Check(name="disk", verdict="degraded", message=said, hint="free some space, or erase old payloads")
    return Check(name="disk", verdict="ok", message=said)


async def _state(settings: Settings) -> list[Check]:
    directory = settings.directory
    if directory is None:
        return [Check(name="state", verdict="ok", message="in memory only")]
    if not (directory / "journal.db").exists():
        return [Check(name="state", verdict="ok", message=f"nothing is kept in {directory} yet")]
    checks = [_private(directory)]
    try:
        workspace = Workspace(settings, create=False)
    except ClewError as error:
        return [*checks, Check(name="state", verdict="failed", message=error.message, hint=error.hint)]
    try:
        checks.append(await _verified(workspace, directory))
        checks.append(await _unfinished(workspace))
    except ClewError as error:
        checks.append(Check(name="state", verdict="failed", message=error.message, hint=error.hint))
    finally:
        await workspace.close()
    reports = len(list(directory.glob("crash-*.txt")))
    if reports:
        hint = f"read and remove {directory}/crash-*.txt"
        checks.append(Check(name="crashes", verdict="ok", message=f"{reports} reports of internal errors", hint=hint))
    return checks


def _private(directory: Path) -> Check:
    mode = stat.S_IMODE(directory.stat().st_mode)
    if mode & 0o077:
        hint = f"chmod 700 {directory}"
        message = f"{directory} is open to other users (mode {mode:o})"
        return Check(name="permissions", verdict="degraded", message=message, hint=hint)
    return Check(name="permissions", verdict="ok", message=f"{directory} is private")


async def _verified(workspace: Workspace, directory: Path) -> Check:
    rows = await workspace.journal.runs(RunFilter(limit=10_000_000))
    events = sum(row.head.seq for row in rows)
    if events <= VERIFY_EVENTS:
        findings = await workspace.journal.verify()
        looked = f"{len(rows):,} runs, {events:,} events"
    else:
        findings = [f for row in rows[:_NEWEST] for f in await workspace.journal.verify(row.run)]
        looked = f"the newest {_NEWEST} of {len(rows):,} runs"
    if findings:
        message = f"{len(findings)} findings in {looked}; the first: {findings[0].message}"
        return Check(name="state", verdict="failed", message=message, hint="clew verify shows all of them")
    return Check(name="state", verdict="ok", message=f"{directory}: {looked}, as they were written")


async def _unfinished(workspace: Workspace) -> Check:
    rows = await workspace.journal.runs(RunFilter(states=("running",), limit=100_000))
    left = [row for row in rows if not row.owner and not row.parent]
    left = [row for row in left[:_NEWEST] if not (await inspect(workspace, row.run)).paused] + left[_NEWEST:]
    if left:
        message = f"{len(left)} runs were interrupted and nobody drives them"
        return Check(name="runs", verdict="degraded", message=message, hint="clew resume")
    return Check(name="runs", verdict="ok", message="none is interrupted")


def _sandbox(settings: Settings) -> list[Check]:
    """The surroundings that code runs in, then what holds each of its limits."""
    try:
        found = sandbox_of(settings).probe()
    except (ClewError, OSError) as error:
        return [Check(name="sandbox", verdict="degraded", message=str(error), hint="code execution is refused")]
    if not found.usable:
        hint = "tools that run code are refused; everything else works"
        return [Check(name="sandbox", verdict="degraded", message=f"{found.name}: {found.reason}", hint=hint)]
    return [_tier(found), *(_limit(name, by) for name, by in found.holds.items() if name not in _OF_THE_TIER)]


def _tier(found: Capabilities) -> Check:
    said = [found.name, f"tier {tier}"] if (tier := found.holds.get("tier")) else [found.name]
    said += [f"tried from inside: {attempts}"] if (attempts := found.holds.get("attempts")) else []
    weaker = [name for name, by in found.holds.items() if _WEAKER in by]
    if not weaker:
        return Check(name="sandbox", verdict="ok", message=", ".join(said))
    message = f"{', '.join(said)}; WEAKER in {', '.join(weaker)}"
    return Check(
        name="sandbox", verdict="degraded", message=message, hint="what is weaker is said below, and in every result"
    )


def _limit(name: str, by: str) -> Check:
    return Check(name=f"sandbox.{name}", verdict="degraded" if _WEAKER in by else "ok", message=by)


def _languages() -> Check:
    """None but Python's is needed: what is missing is said, and no fault."""
    here: list[str] = []
    missing: list[str] = []
    hints: list[str] = []
    for language in get_args(Language):
        try:
            languages.mounts(language)
            here.append(language)
        except Failure as error:
            missing.append(language)
            hints.append(error.hint)
    message = ", ".join(here) + (f"; not here: {', '.join(missing)}" if missing else "")
    return Check(name="languages", verdict="ok", message=message, hint="; ".join(hints))


def _existing(path: Path) -> Path:
    """The path, or the nearest directory above it that is there."""
    absolute = path.absolute()
    return next((p for p in (absolute, *absolute.parents) if p.is_dir()), Path("/"))
