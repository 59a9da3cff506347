"""The knowledge graph of a collection, derived from the relations that its documents state.

Belongs here: facts and their validity in time (``facts``), walks over them (``walk``), rules that find relations in a text
(``extract``). A fact that its document no longer states is closed, never deleted: what was believed earlier can be asked.
"""

from clew.context.graph.facts import Fact, Facts

__all__ = ["Fact", "Facts"]
