"""What the API returns, as models: they make the OpenAPI description, and every answer is checked against them."""

from typing import Any, Literal

from pydantic import BaseModel, Field

from mashpix.web.job import State


class Error(BaseModel):
    """Why a request was refused, in one line."""

    code: str
    message: str


class Note(BaseModel):
    """A remark on a job."""

    text: str
    severity: Literal["info", "warning"]


class Image(BaseModel):
    """The image of a job: its axes, and the values that are shown black and white."""

    shape: list[int]
    axes: str
    dtype: str
    width: int
    height: int
    planes: list[tuple[str, int]] = Field(description="axes outside of a plane, with their lengths")
    levels: int = Field(description="sizes of the preview: each halves the one before")
    window: tuple[float, float]
    windows: list[tuple[float, float]] = Field(description="the same for each channel along C")
    percentiles: list[list[float]] = Field(description="the 0th to the 100th of the middle plane, for each channel")
    range: tuple[float, float]
    colour: bool
    residual_limit: float | None = None
    spread_limit: float | None = None


class Figure(BaseModel):
    """A small figure of the noise report."""

    title: str
    svg: str


class Inspection(BaseModel):
    """The noise report in plain words, and the expected cost."""

    sentences: list[str]
    figures: list[Figure]
    seconds: dict[str, float] = Field(description="expected time by preset, where it is known")
    memory_bytes: int


class Progress(BaseModel):
    """How far a job is."""

    stage: str
    index: int
    total: int
    fraction: float
    seconds_left: float | None


class Place(BaseModel):
    """A block of pixels that a verdict speaks of; in a stack with its plane."""

    x: int
    y: int
    width: int
    height: int
    plane: list[int] | None


class Verdict(BaseModel):
    """Whether the result can be trusted."""

    verdict: str
    reason: str
    place: Place | None


class Outcome(BaseModel):
    """The file of the result."""

    name: str
    bytes: int
    sha256: str
    seconds: float | None = None


class Commands(BaseModel):
    """The same job elsewhere."""

    shell: str
    python: str
    curl: str


class JobView(BaseModel):
    """One file with its settings and results."""

    id: str
    name: str
    state: State
    created: float
    touched: float
    expires: float | None
    size_bytes: int
    request: dict[str, Any]
    image: Image | None
    inspection: Inspection | None
    progress: Progress | None
    preview: dict[str, Any] | None = Field(description="number and plane of the latest live picture")
    finishing: bool = Field(description="whether its result is being written with other sliders")
    queue_position: int | None
    notes: list[Note]
    verdict: Verdict | None
    outcome: Outcome | None
    commands: Commands
    error: Error | None


class JobList(BaseModel):
    """All jobs, newest last."""

    jobs: list[JobView]


class Finish(BaseModel):
    """Strength and detail of a result."""

    strength: float = Field(1.0, ge=0, le=1)
    detail: float = Field(0.0, ge=0, le=1)


class Setting(BaseModel):
    """One of the settings of the method."""

    name: str
    help: str
    type: str
    choices: list[str] | None
    low: float | None
    high: float | None
    default: Any


class Preset(BaseModel):
    """A preset, with the values in which it differs from the settings' defaults."""

    name: str
    description: str
    settings: dict[str, Any]


class Info(BaseModel):
    """What this server can do."""

    version: str
    device: str
    formats: str
    endings: list[str]
    presets: list[Preset]
    settings: list[Setting]
    limits: dict[str, float | None]
