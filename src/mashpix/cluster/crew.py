"""The workers of a cluster: who is there, who has been checked, and who is free."""

import time
from collections.abc import Callable, Container
from dataclasses import dataclass, field
from typing import Any

from distributed import Client

from mashpix.cluster.checking import Found, Needs, check_worker, differences
from mashpix.errors import DeviceError

LOOK_AFTER = 1.0
"""Seconds after which the scheduler is asked again which workers are there."""
SILENCE = 10.0
"""Seconds without a worker that can be used after which that is said."""


@dataclass
class Crew:
    """The workers of a cluster. Other fields as in `ClusterExecutor`.

    there : what the scheduler knows about each, by address
    ready : process of each that has been checked and can be used
    refused : those that cannot be used
    looked : when the scheduler was last asked
    used : when there last was a worker to use; None once it has been said that there is none
    """

    client: Client
    needs: Needs
    say: Callable[[str], object]
    there: dict[str, dict[str, Any]] = field(default_factory=dict)
    ready: dict[str, int] = field(default_factory=dict)
    refused: set[str] = field(default_factory=set)
    looked: float = 0.0
    used: float | None = field(default_factory=time.monotonic)

    def look(self) -> list[str]:
        """Ask which workers are there, check those that are new, and return why some cannot be used."""
        self.check_scheduler()
        try:
            # not client.scheduler_info(): now and then it returns what a timer has put there, without any workers
            self.there = self.client.sync(self.client.scheduler.identity, n_workers=-1)["workers"]
            self.ready = {address: process for address, process in self.ready.items() if address in self.there}
            new = [address for address in self.suited() if address not in self.ready and address not in self.refused]
            answers = self.client.run(check_worker, self.needs, workers=new, on_error="return") if new else {}
        except Exception as error:  # whatever the library raises for a connection that has ended
            raise _lost(type(error).__name__) from None
        self.looked = time.monotonic()
        reasons = []
        for address, answer in answers.items():
            if reason := _why_not(answer):
                self.refused.add(address)
                reasons.append(f"a worker cannot be used ({address!r}; {reason})")
            elif isinstance(answer, Found):
                self.ready[address] = answer.process
        return reasons

    def look_again(self) -> None:
        """As `look`, if that was a while ago; say why new workers cannot be used, or that there are none."""
        self.check_scheduler()
        if time.monotonic() - self.looked >= LOOK_AFTER:
            for reason in self.look():
                self.say(f"{reason}; it is left out")
        if self.ready:
            self.used = time.monotonic()
        elif self.used is not None and time.monotonic() - self.used > SILENCE:
            self.say(f"no worker can be used, waiting for one ({len(self.there)} are there; Ctrl-C ends this)")
            self.used = None

    def check_scheduler(self) -> None:
        """Raise `DeviceError` if the connection to the scheduler has ended: it has forgotten all tasks then."""
        if self.client.status != "running":
            raise _lost(self.client.status)

    def suited(self) -> list[str]:
        """Return the workers to use: for a GPU those that were started with `--resources "GPU=1"`, if there are any."""
        with_gpu = [address for address, worker in self.there.items() if worker["resources"].get("GPU")]
        return with_gpu if with_gpu and self.needs.device.startswith("cuda") else list(self.there)

    def find_free(self, busy: Container[str]) -> str | None:
        """Return a worker that can be given a task: a paused one would never begin it."""
        free = (address for address in self.ready if address not in busy)
        return next((address for address in free if self.there[address]["status"] == "running"), None)


def _why_not(answer: Found | Exception) -> str:
    """Return why a worker cannot be used; "" if it can, or has died meanwhile."""
    if isinstance(answer, Found):
        return answer.lacks or differences(answer.versions)
    return "" if isinstance(answer, OSError) else f"{type(answer).__name__}: {' '.join(str(answer).split())[:120]}"


def _lost(how: str) -> DeviceError:
    return DeviceError(f"`cluster`: the scheduler is lost ({how}; `resume` goes on with what is left)")
