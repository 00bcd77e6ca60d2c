"""From a plan to a report: worker processes, journal, resume."""
