"""The run's own evaluation under observation, and against answers that are right by construction."""
