"""Interceptors on the gate, one a file. Pure over ports: no clock, file or network of their own, no private state.

Order (outermost first) and meaning are fixed here: ``mode`` refuses what a run's mode takes away; ``milestones`` refuses
to plan twice; ``cache`` answers a repeated model request from the journal; ``credentials`` removes known
secret values from whatever comes back, innermost, so that nothing above it ever sees one. Approval of a node is asked by its
body, before the first effect; a policy's ``Ask`` uses ``call.ask`` and is the same human effect.
"""

ORDER = ("mode", "milestones", "cache", "credentials")
