"""Report -> text: each format is one file and a pure function of the result object."""
