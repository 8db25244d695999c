"""`mashpix denoise` and `apply` on a stack: planes go from file to file one by one, each with its verdict."""

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from mashpix.axes import FITS, WITHIN, Index, samples_axis
from mashpix.cli.console import complain, in_background, progress
from mashpix.cli.finishing import draw_comparison, finish, residual_of, show_verdict
from mashpix.cli.one_file import Run, check_outputs, make_recipe, summary
from mashpix.errors import FileError, UsageError
from mashpix.jobs.model_reference import check_like, load_model
from mashpix.jobs.recipe import hash_file, to_json
from mashpix.report import Step

if TYPE_CHECKING:
    from mashpix.files import Stack
    from mashpix.files.stack_file import Put
    from mashpix.trust.verdict import Verdict


def check_fit(fit: str) -> None:
    """Refuse what --fit cannot be."""
    if fit not in FITS:
        raise UsageError(f"--fit: unknown choice ({fit!r}; one of {', '.join(FITS)})")


def denoise_stack_file(
    stack: "Stack", source: Path, target: Path, run: Run, *, threads: int | None, show: Callable[[Step], None] | None
) -> None:
    """Check all that can be checked, denoise into a copy of the file, then write what belongs to it."""
    from mashpix import files
    from mashpix.trust.stack_verdict import list_planes, sum_up

    check_like(stack.axes, stack, run.model)
    if run.strict and stack.lost:
        raise FileError(f"not all of it can be kept ({'; '.join(stack.lost)}; leave out --strict to allow that)")
    for note in (*stack.notes, *stack.lost):
        complain(note, name=str(source))
    files.check_same_format(source, target)
    beside = check_outputs(source, target, run)
    steps = _start(stack, run, threads=threads)
    input_sha256 = hash_file(source)
    started, look = time.perf_counter(), Look(stack.axes, _middle(stack))
    with (
        _open_outputs(stack, target, beside, run) as puts,
        nullcontext(show) if show else progress(str(source)) as shown,
    ):
        for step in in_background(_put_planes(steps, puts, stack, run, look)):
            shown(step)
    report = step.report
    assert report is not None
    for note in report.notes:
        complain(note, name=str(source))
    verdict = sum_up(look.verdicts)
    told = report.to_dict() | {"verdict": verdict.to_dict() | {"planes": list_planes(look.verdicts)}}
    options = {"axes": stack.axes, "fit": run.fit, "joint": run.joint}
    recipe = make_recipe(run, told, input_sha256=input_sha256, target=target, stack=options)
    made_of: dict[str, Callable[[], bytes]] = {
        "recipe": recipe.to_json,
        "report": lambda: to_json(recipe.report),
        "compare": look.draw,
    }
    for kind in made_of.keys() & beside.keys():
        files.atomic_write(beside[kind], made_of[kind](), overwrite=run.overwrite)
    shape, fit = " x ".join(map(str, stack.shape)), "a model" if run.model else f"fit {run.fit}"
    spent = time.perf_counter() - started
    typer.echo(f"{str(target)!r}: {stack.axes} {shape}, {fit}, {summary(report)}, {spent:.0f} s")
    show_verdict(verdict)
    if run.compare is not None:
        typer.echo(f"{str(run.compare)!r}: {look.name}")


@dataclass
class Look:
    """What is kept of the planes that went by: the verdict on each, and one plane to look at.

    axes, middle : of the stack, and the plane in the middle of it
    verdicts : by the names of the planes
    rank, name, noisy, denoised : of the worst plane, or if all are good of the one in the middle
    """

    axes: str
    middle: Index
    verdicts: "dict[str, Verdict]" = field(default_factory=dict)
    rank: tuple[int, float] = (0, -1.0)
    name: str = ""
    noisy: Any = None
    denoised: Any = None

    def at(self, index: Index, noisy: Any, denoised: Any, verdict: "Verdict") -> None:
        """Look at a plane."""
        from mashpix.trust.stack_verdict import name_plane, severity
        from mashpix.trust.verdict import GOOD

        name = name_plane(index, self.axes)
        self.verdicts[name] = verdict
        rank = severity(verdict) if verdict.verdict != GOOD else (0, float(index == self.middle))
        if rank > self.rank:
            self.rank, self.name, self.noisy, self.denoised = rank, name, noisy, denoised

    def draw(self) -> bytes:
        """What --compare writes."""
        return draw_comparison(self.noisy, self.denoised, channel_axis=samples_axis(self.axes), name=self.name)


def _middle(stack: "Stack") -> Index:
    """The plane in the middle along every axis."""
    lengths = zip(stack.axes, stack.shape, strict=True)
    return tuple(slice(None) if letter in WITHIN else length // 2 for letter, length in lengths)


@contextmanager
def _open_outputs(stack: "Stack", target: Path, beside: dict[str, Path], run: Run) -> "Iterator[dict[str, Put]]":
    """What puts planes into the copy of the file and into the maps; all get their names when the block ends well."""
    from mashpix import files

    with ExitStack() as outputs:
        puts: dict[str, Put] = {}
        for kind in {"spread", "residual"} & beside.keys():
            made = files.map_stack(beside[kind], axes=stack.axes, shape=stack.shape, overwrite=run.overwrite)
            puts[kind] = outputs.enter_context(made)
        puts["denoised"] = outputs.enter_context(stack.copy_to(target, overwrite=run.overwrite or run.in_place))
        yield puts


def _start(stack: "Stack", run: Run, *, threads: int | None) -> Iterator[Step]:
    """The steps of denoising a stack; what cannot be denoised is refused at once."""
    import torch

    from mashpix.arrays.stacks import apply_model_steps, denoise_stack_steps

    if threads is not None:
        torch.set_num_threads(threads)
    if run.model is not None:
        return apply_model_steps(
            load_model(run.model), stack, axes=stack.axes, joint=run.joint, seed=run.seed, device=run.device
        )
    return denoise_stack_steps(
        stack,
        axes=stack.axes,
        fit=run.fit,
        joint=run.joint,
        data_range=run.data_range,
        settings=run.settings,
        seed=run.seed,
        device=run.device,
    )


def _put_planes(steps: Iterator[Step], puts: "dict[str, Put]", stack: "Stack", run: Run, look: Look) -> Iterator[Step]:
    """The steps; each plane, and what is saved of it, is put into its place as soon as it is there."""
    channel_axis = samples_axis(stack.axes)
    for step in steps:
        if step.plane is not None:
            noisy = stack[step.plane]
            pixels, verdict = finish(
                noisy, step.denoised, strength=run.strength, detail=run.detail, channel_axis=channel_axis
            )
            made: dict[str, Any] = {"denoised": pixels, "spread": step.spread}
            if "residual" in puts:
                made["residual"] = residual_of(noisy, pixels)
            for kind, put in puts.items():
                put(step.plane, made[kind])
            look.at(step.plane, noisy, pixels, verdict)
        yield step
