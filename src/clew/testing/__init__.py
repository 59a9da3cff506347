"""Fakes for tests of workflows, handlers, interceptors and of Clew itself: public, and as steady as the ports they stand for.

Belongs here: a clock that is turned by hand, a machine and a gate that are driven by script, projects written from a dict,
humans who answer by script. Never here: anything that a run outside a test needs, real time, randomness, assertions of one test.
An engine in memory needs no fake: open the project with state ``":memory:"`` and ``clock=ManualClock()``.
"""

from clew.testing.clock import ManualClock
from clew.testing.gate import MemoryRecord, ScriptedDriver
from clew.testing.graphs import graph_of
from clew.testing.humans import ScriptedHuman
from clew.testing.machine import MachineScript
from clew.testing.projects import write_project

__all__ = [
    "MachineScript",
    "ManualClock",
    "MemoryRecord",
    "ScriptedDriver",
    "ScriptedHuman",
    "graph_of",
    "write_project",
]
