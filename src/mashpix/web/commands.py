"""The same job elsewhere: as a command line, as Python, as curl."""

import json
import shlex
from typing import Any

from mashpix.settings import RENAMED
from mashpix.web.job import Job

FLAGS: dict[str, Any] = {"preset": "default", "seed": 0, "channels": "auto", "networks": "shared", "axes": None} | {
    "strength": 1.0, "detail": 0.0, "data_range": None,
}  # fmt: skip
"""Options that a command line takes by name and value, with their defaults."""


def _asked(job: Job) -> dict[str, Any]:
    """Return the options that make the result again: also those that were chosen during the run and after it."""
    return FLAGS | job.request | job.finish | {"settings": job.request.get("settings", {}) | job.stopped}


def command_line(job: Job, *, device: str = "auto") -> str:
    """Return the command line that writes the same result; the file lies in the current folder."""
    asked = _asked(job)
    given: dict[str, Any] = {name: asked[name] for name, default in FLAGS.items() if asked[name] != default}
    given |= {"device": device} if device != "auto" else {}
    given |= {RENAMED.get(name, name): value for name, value in asked["settings"].items()}
    words = ["mashpix", "denoise", job.source_name]
    for name, value in given.items():
        flag = name.replace("_", "-")
        if isinstance(value, bool):
            words.append(f"--{flag}" if value else f"--no-{flag}")
        else:
            words += [f"--{flag}", "auto" if value is None else str(value)]
    return shlex.join(words + ["--strict"] * bool(asked.get("strict")))


def stopped_command(command: str, after: int) -> str:
    """Return the command of a run that was stopped."""
    return f"{command} --stop-after {after}"


def all_commands(job: Job, *, device: str, address: str, token: bool) -> dict[str, str]:
    """Return the job as a command line, as Python and as curl."""
    return {
        "shell": command_line(job, device=device),
        "python": _python(job, device=device),
        "curl": _curl(job, address=address, token=token),
    }


def _python(job: Job, *, device: str) -> str:
    asked = _asked(job)
    changes = "".join(f", {name}={value!r}" for name, value in asked["settings"].items()).lstrip(", ")
    settings = f"preset({asked['preset']!r})" + (f".replace({changes})" if changes else "")
    names = [name for name in (*FLAGS, "strict") if name not in ("preset",)]
    options = {name: asked[name] for name in names if asked.get(name, False) not in (FLAGS.get(name, False),)}
    options |= {"device": device} if device != "auto" else {}
    lines = [
        f"    source=Path({job.source_name!r}),",
        f"    target=Path({job.result_name!r}),",
        f"    settings={settings},",
        *(f"    {name}={value!r}," for name, value in options.items()),
    ]
    head = "from pathlib import Path\n\nfrom mashpix import preset\n"
    head += "from mashpix.jobs import DenoiseRequest, denoise_file, run\n\n"
    return head + "request = DenoiseRequest(\n" + "\n".join(lines) + "\n)\noutcome = run(denoise_file(request))\n"


def _curl(job: Job, *, address: str, token: bool) -> str:
    request = json.dumps({name: _asked(job)[name] for name in job.request})
    words = ["curl", "-F", f"file=@{job.source_name}", "-F", f"request={request}", f"{address}/api/jobs"]
    secret = ' -H "Authorization: Bearer $MASHPIX_TOKEN"' if token else ""
    return shlex.join(words) + secret
