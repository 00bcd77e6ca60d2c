"""Time, energy and money of a step on a device."""
