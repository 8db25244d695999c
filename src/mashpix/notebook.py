"""Tables that reports show in notebooks and HTML pages."""

from html import escape


def as_table(rows: list[tuple[str, str]]) -> str:
    """An HTML table of names and values, both escaped."""
    lines = (f"<tr><th>{escape(name.strip())}</th><td>{escape(value)}</td></tr>" for name, value in rows)
    return f"<table>{''.join(lines)}</table>"
