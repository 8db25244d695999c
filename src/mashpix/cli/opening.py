"""Any file as a stack, for commands that treat pictures and stacks alike."""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mashpix.cli.console import complain

if TYPE_CHECKING:
    from mashpix.files import ImageFile


@contextmanager
def opened(
    path: Path, axes: str | None, max_pixels: int, *, say: bool = True
) -> Iterator[tuple[Any, str, "ImageFile | None"]]:
    """A stack and its axes; of a single picture its pixels as a stack of one plane, their axes, and the picture."""
    from mashpix import files

    stack = files.open_stack(path, axes=axes, max_pixels=max_pixels)
    if stack is None:
        image = files.read_image(path, max_pixels=max_pixels)
        notes, found = image.notes, axes_of(image)
    else:
        notes, found = (*stack.notes, *stack.lost), stack.axes
    for note in notes if say else ():
        complain(note, name=str(path))
    if stack is None:
        yield image.pixels, found, image
        return
    with closing(stack):
        yield stack, found, None


def axes_of(image: "ImageFile") -> str:
    """Axes of a single picture."""
    return "YX" if image.pixels.ndim == 2 else "YXS"
