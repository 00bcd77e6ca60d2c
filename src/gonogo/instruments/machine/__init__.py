"""The machine, looked at while something runs."""
