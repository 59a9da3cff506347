"""Fakes for tests of workflows, handlers, interceptors and of Clew itself: public, and as steady as the ports they stand for.

Belongs here: a clock that is turned by hand, a machine and a gate that are driven by script, projects written from a dict,
humans who answer by script, a server that speaks the providers' protocols (it alone knows real time, where a step says so).
Never here: anything that a run outside a test needs, randomness, assertions of one test.
An engine in memory needs no fake: open the project with state ``":memory:"`` and ``clock=ManualClock()``.
"""

from clew.testing.clock import ManualClock
from clew.testing.gate import MemoryRecord, ScriptedDriver
from clew.testing.graphs import graph_of
from clew.testing.humans import ScriptedHuman
from clew.testing.machine import MachineScript
from clew.testing.model import ScriptedModel
from clew.testing.projects import one_node, write_project
from clew.testing.provider import FakeProvider

__all__ = [
    "FakeProvider",
    "MachineScript",
    "ManualClock",
    "MemoryRecord",
    "ScriptedDriver",
    "ScriptedHuman",
    "ScriptedModel",
    "graph_of",
    "one_node",
    "write_project",
]
