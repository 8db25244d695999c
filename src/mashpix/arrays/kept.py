"""What a run over a stack keeps, so that others go on with it or share in it: images that are done, fitted models."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from mashpix.axes import Index
from mashpix.report import Report

if TYPE_CHECKING:
    from mashpix.arrays.model import Model

Fit = tuple[tuple[tuple[int, ...], ...], "list[Model | None]"]
"""The groups of channels that were fitted together, and the model of each part of them, None where all is blank."""


@dataclass(frozen=True)
class Place:
    """The place of an image in a run: a plane, a block of one, or those of several joint channels.

    number, group : of the image and of its group, counted over the run from 0
    index : of the plane or block, the last one of several
    """

    number: int
    group: int
    index: Index


class Kept:
    """Keeps nothing, and wants all images; `jobs.block_store` keeps all in files."""

    def report_of(self, index: Index) -> Report | None:
        """Return the report of an image that is done, by the index of its place; else None."""
        return None

    def is_wanted(self, place: Place) -> bool:
        """Return whether an image is one to denoise, if it is not done."""
        return True

    def fit_of(self, group: int) -> Fit | None:
        """Return the models of a group, if they are fitted already."""
        return None

    def keep_fit(self, group: int, fit: Fit) -> Fit:
        """Keep the models of a group; return those to use, which are of another run if that was faster."""
        return fit


NOTHING = Kept()
