"""Durations in words."""


def format_duration(seconds: float) -> str:
    """Format a duration in words: whole seconds, from two minutes on whole minutes, then hours and minutes.

    Examples
    --------
    >>> [format_duration(seconds) for seconds in (0.4, 25.2, 100, 250, 3590, 4200, 360_000)]
    ['less than 1 s', '25 s', '100 s', '4 min', '1 h', '1 h 10 min', '100 h']
    """
    if seconds < 0.5:
        return "less than 1 s"
    if seconds < 119.5 and round(seconds) != 60:
        return f"{round(seconds)} s"
    hours, minutes = divmod(round(seconds / 60), 60)
    parts = [f"{hours} h"] * (hours > 0) + [f"{minutes} min"] * (minutes > 0 and hours < 24)
    return " ".join(parts)
