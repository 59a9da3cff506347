"""Models behind the gate: the gateway that performs ``model`` effects, and clients of the providers.

Belongs here: the catalogue of declared providers and logical models, routing, health, prices, adapters of provider
libraries (imported lazily) and the offline provider. Never here: the agent loop, policies, journaling, knowledge of how a
run is hosted; an own protocol implementation where a provider library has one.
"""
