"""Files of the sciences (FITS, DICOM, MRC) can also be written as TIFF: their values and axes, and nothing else."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from mashpix.errors import FileError
from mashpix.files.image_file import check_kept
from mashpix.files.map_stack import map_stack
from mashpix.files.opened import Copy, OpenStack

TIFF = (".tif", ".tiff")
LOST = "written as TIFF: only values and axes are kept, without the header, its scale and other parts of the file"


@dataclass(kw_only=True)
class AsTiff(OpenStack):
    """A stack whose copy may be a TIFF; `native` says why its values would mean something else there, or is empty."""

    native: str = ""

    def check_target(self, target: Path, *, strict: bool) -> list[str]:
        """As of any stack; a TIFF loses all but values and axes."""
        if target.suffix.lower() not in TIFF:
            return super().check_target(target, strict=strict)
        if self.native:
            raise FileError(f"{self.native} (a TIFF would not say so; choose {self.path.suffix!r})")
        if strict:
            check_kept([*self.lost, LOST])
        return [LOST]

    @contextmanager
    def copy_to(self, target: Path, *, overwrite: bool, strict: bool = False) -> Iterator[Copy]:
        """As of any stack, or a new TIFF."""
        if target.suffix.lower() not in TIFF:
            with super().copy_to(target, overwrite=overwrite, strict=strict) as copy:
                yield copy
            return
        lost = self.check_target(target, strict=strict)
        with (
            map_stack(target, axes=self.axes, shape=self.shape, dtype=self.dtype, overwrite=overwrite) as put,
            Copy(put, self.plane_shape, self.dtype, lost).closing() as copy,
        ):
            yield copy
