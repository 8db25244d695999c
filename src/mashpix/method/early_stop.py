"""End the fits of a run early: after a number of network updates, or when somebody wants the result now."""

from collections.abc import Callable
from dataclasses import dataclass


@dataclass
class EarlyStop:
    """Where the fits of one run end early; the learning rate follows the schedule of the full fit until then.

    after : network updates of all fits of the run, after which the current fit ends; 0: none. Set when a stop is
        wanted: `Settings.stop_after` with this number gives the same bytes again
    is_wanted : asked after each update
    made, each : updates made in the run, and how many later fits make: as many as the one that was stopped
    """

    after: int = 0
    is_wanted: Callable[[], bool] = lambda: False
    made: int = 0
    each: int = 0

    def ends(self, updates: int) -> bool:
        """Count an update, the `updates`-th of its fit; return whether that fit ends with it.

        Examples
        --------
        >>> stop = EarlyStop(after=5)
        >>> [stop.ends(updates) for updates in (1, 2, 3)], [stop.ends(updates) for updates in (1, 2)]
        ([False, False, False], [False, True])
        """
        self.made += 1
        if not self.after and self.is_wanted():
            self.after = self.made
        if self.after and not self.each and self.made >= self.after:
            self.each = updates
        return 0 < self.each <= updates
