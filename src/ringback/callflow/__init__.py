"""A call flow as a value: record it, correlate its packets, draw it as text."""
