"""The offline provider: answers without a model, a key or a network; the same request always gets the same answer.

It follows the plan that an agent's ``parameters.offline`` declares; without one it calls the tools whose arguments it can fill by
name and answers with what they said. What it cannot know honestly it refuses (``offline_cannot``). Never here: anything that
sounds like a model, chance, time, files, or code in a plan.
"""

from clew.models.offline.client import OfflineClient

__all__ = ["OfflineClient"]
