"""What agents do between effects: pure over ports. The loop, planners and structured output belong here, and what code agents know.

Never here: a provider's client, a sandbox, files or processes of the engine's own; those are drivers, reached through the gate.
"""
