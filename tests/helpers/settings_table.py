"""The table of all settings in docs/command-line.md; run as a script it renews it.

python tests/helpers/settings_table.py
"""

from dataclasses import fields
from typing import Any

from mashpix import PRESETS, Settings
from measured_page import markdown, write_part

MARK, PAGE = "table of settings", "command-line.md"
COLUMNS = ("field", "`default`", "`scripts`", "what it means")


def settings_table() -> str:
    """One row for each field: its value in the two presets that stand for all, and its meaning."""
    rows = []
    for item in fields(Settings):
        values = (_spell(getattr(PRESETS[name], item.name)) for name in ("default", "scripts"))
        rows.append([f"`{item.name}`", *values, item.metadata["help"].replace("|", "or")])
    return markdown(COLUMNS, rows)


def _spell(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "auto" if value is None else f"{value:g}" if isinstance(value, float) else str(value)


if __name__ == "__main__":
    write_part(MARK, settings_table(), PAGE)
