"""Checks of what the planned run takes: memory, time, storage."""
