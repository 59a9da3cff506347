"""The asyncio shell around the core: it enters bodies, keeps time, appends to the journal, and decides nothing itself.

Belongs here: the host (one loop over the machine's commands), bodies and their ``ctx``, threads and processes for handlers,
the scheduler of runs. Never here: rules about graphs or statuses (core), policies (policies), a concrete store, tool or
sandbox (handed in by ``clew.service.wiring``), settings, or anything printed.
"""
