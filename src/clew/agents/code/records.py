"""What the jobs are asked, what the runner in the sandbox answers, and what the jobs tell each other: all of it JSON."""

import msgspec

from clew.agents.code.interpreter import Interpreter
from clew.agents.code.localise import Spectrum, Suspect
from clew.agents.code.signs import Told


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """``tests``: node ids (or files) to repair; empty for all that fail. Times in seconds."""

    repo: str
    python: str | None = None
    tests: tuple[str, ...] = ()
    test_timeout: float = 5.0
    suite_timeout: float = 300.0
    workers: int = 2
    batch_time: float = 60.0
    lines: int = 250
    """Most suspicious lines that are searched."""


class Test(msgspec.Struct, frozen=True):
    """One test as the runner saw it; ``frames`` of its traceback in the repository.

    ``collect``: a file that could not be collected, ``missing``: the module it did not find. ``written``: a test function
    or a file of them; else a doctest or a linter's item, whose file is code under test. ``network``: it asked for a
    socket that the sandbox refuses.
    """

    id: str
    outcome: str
    took: float = 0.0
    message: str = ""
    frames: list[tuple[str, int]] = []
    collect: bool = False
    missing: str = ""
    written: bool = True
    network: bool = False


class Session(msgspec.Struct, frozen=True):
    """The runner's answer to a ``session`` task."""

    tests: list[Test]
    complete: bool
    not_run: list[str]
    python: str
    output: str = ""
    """pytest's last words, where it ran nothing."""
    rootdir: str = ""
    inifile: str = ""
    version: str = ""
    exit: int = -1
    coverage: Spectrum | None = None
    import_lines: dict[str, list[int]] = {}


class Batched(msgspec.Struct, frozen=True):
    """The runner's answer to a ``batch`` task. ``repaired``: numbers of the targets that pass, by candidate, where any do."""

    verdicts: list[str | None]
    seconds: float
    repaired: dict[str, list[int]] = {}


class Suite(msgspec.Struct, frozen=True):
    """What ``run_suite`` found; the other jobs are given it back."""

    repo: str
    digest: str
    interpreter: Interpreter
    rootdir: str
    inifile: str
    failing: list[str]
    others: list[str]
    """Tests that fail too but were not asked for."""
    passed: int
    failed: int
    skipped: int
    slowest: float
    seconds: float
    seconds_passed: float
    messages: dict[str, str]
    hanging: list[str]
    pytest: str = ""
    plugins: bool = True
    """False when the plugins installed for the interpreter stop this suite, so that they are left off."""
    test_limit: float = 0.0
    """Seconds that a test may take, where some are slow; else what the request says."""
    paths: list[str] = []
    """What pytest is told to run, where its own configuration leaves out a file that was asked for."""


class Edit(msgspec.Struct, frozen=True):
    """Bytes ``start:end`` of ``file``, as it was at first, replaced by ``text``."""

    file: str
    start: int
    end: int
    text: str
    line: int
    operator: str


class Located(msgspec.Struct, frozen=True):
    """What ``locate`` found: suspects, and the tests that run them (group: numbers in ``tests``, as ranges).

    ``set_aside``: failing tests that no candidate could be judged by, and why. ``edits``: those of the tree that was
    looked at. ``hits``: by group, the targets that run its lines; ``whole``: whether all of them run any one line.
    """

    targets: list[str]
    set_aside: dict[str, str]
    tests: list[str]
    groups: list[str]
    suspects: list[Suspect]
    import_lines: dict[str, str]
    files: list[str]
    target_seconds: float
    seconds: float
    candidates: int
    hits: list[str] = []
    whole: bool = True
    hanging: int = 0
    """How many targets never ended; they are the last ones."""
    edits: list[Edit] = []
    told: list[Told] = []
    """How the targets fail, each way once."""


class Change(msgspec.Struct, frozen=True):
    """A verified edit; ``before`` and ``after`` are SHA-256 digests of the file."""

    file: str
    start: int
    end: int
    text: str
    before: str
    after: str
