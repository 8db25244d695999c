"""Optional libraries: asked for where they are used, and named with the extra that brings them."""

from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec

from mashpix.errors import ExtraError


def is_there(*modules: str) -> bool:
    """Whether all of these modules are installed; none of them is imported."""
    return all(find_spec(module) is not None for module in modules)


def need(*modules: str, what: str, extra: str) -> None:
    """Raise `ExtraError` unless these modules, which something needs, are installed."""
    if missing := [module for module in modules if not is_there(module)]:
        raise ExtraError(f'{what!r}: not installed ({", ".join(missing)}; pip install "mashpix[{extra}]")')


def version_of(package: str) -> str:
    """Return the version of a package without importing it, or "missing"."""
    try:
        return version(package)
    except PackageNotFoundError:
        return "missing"
