"""Optional libraries: what needs one says which extra brings it."""

from importlib.util import find_spec

from mashpix.errors import ExtraError


def need(*modules: str, what: str, extra: str) -> None:
    """Raise `ExtraError` unless these modules, which something needs, are installed."""
    if missing := [module for module in modules if find_spec(module) is None]:
        raise ExtraError(f'{what!r}: not installed ({", ".join(missing)}; pip install "mashpix[{extra}]")')
