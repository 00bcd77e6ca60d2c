"""Data sets as evidence: raw samples, fingerprints, overlaps."""
