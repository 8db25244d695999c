"""The value of a TIFF that means "no data": GDAL writes it as text in a tag of its own."""

from typing import Any

from mashpix.missing import NoData

GDAL_NODATA = 42113
HUGE = 3.4e38
"""Values of this size are the least or the largest of a float, which programs round to as few as six digits."""


def read_nodata(page: Any) -> tuple[tuple[NoData, ...] | None, list[str]]:
    """Return the range of values that mean "no data" on a page, None without one, and a remark if it is no number."""
    tag = page.tags.get(GDAL_NODATA)
    if tag is None:
        return None, []
    text = (tag.value.decode("latin-1") if isinstance(tag.value, bytes) else str(tag.value)).strip("\0 ")
    try:
        value = float(text)
    except ValueError:
        return None, [f"its value for missing data is not a number ({text[:40]!r}; `nodata` names one)"]
    low, high = -float("inf") if value <= -HUGE else value, float("inf") if value >= HUGE else value
    return ((low, high),), []
