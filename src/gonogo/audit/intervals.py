"""Intervals for shares."""

import math


def wilson(hits: int, n: int, z: float = 1.96) -> tuple[float, float]:
    """The interval of a share of which `hits` among `n` random draws are known; 95 % by default.

    Source: E. B. Wilson 1927, doi:10.1080/01621459.1927.10502953.
    """
    if n == 0:
        return 0.0, 1.0
    share, extra = hits / n, z * z / n
    centre = (share + extra / 2) / (1 + extra)
    half = z * math.sqrt(share * (1 - share) / n + extra / (4 * n)) / (1 + extra)
    return max(0.0, centre - half), min(1.0, centre + half)
