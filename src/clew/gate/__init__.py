"""The gate: the one way from a run to the world.

Belongs here: what an effect and its outcome are, the interceptor protocol, the door that looks up, checks, performs and
records, and *all ports* with their request and answer types. Never here: a driver, a policy, settings, or anything that knows
how a run is hosted.
"""
