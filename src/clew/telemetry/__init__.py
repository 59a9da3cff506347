"""Telemetry: traces as a reading of the journal's facts.

Belongs here: what turns durable facts into OpenTelemetry spans, with gen_ai attributes, and hands them to an exporter. Never here:
content of prompts and answers (payloads), anything that a run depends on, the OpenTelemetry SDK at import time.
"""
