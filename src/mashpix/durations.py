"""Times as people say them."""

UNITS = (("s", 1.0, 60.0), ("min", 60.0, 60.0), ("h", 3600.0, 48.0), ("days", 86_400.0, float("inf")))
"""Name, seconds, and how many of it are said in the next unit."""


def say_duration(seconds: float) -> str:
    """A time to two digits, in the unit that fits.

    Examples
    --------
    >>> [say_duration(seconds) for seconds in (0.31, 25.2, 59.7, 95, 3590, 5400, 100_000, 1e7)]
    ['0.3 s', '25 s', '1 min', '1.6 min', '1 h', '1.5 h', '28 h', '116 days']
    """
    for name, unit, most in UNITS:
        value = seconds / unit
        rounded = round(value, 1) if value < 9.95 else round(value)
        if rounded < most:
            break
    return f"{rounded:g} {name}"
