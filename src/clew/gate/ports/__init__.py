"""Ports: what the layers above may ask of the world. Protocols and plain frozen data; no behaviour, no imports of drivers."""
