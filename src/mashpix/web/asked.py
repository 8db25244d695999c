"""What a client asks for: the request JSON of the API, and what it means for a job."""

from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from mashpix.arrays.colour import Channels
from mashpix.axes import Networks
from mashpix.errors import UsageError
from mashpix.settings import Settings, preset


class Asked(BaseModel):
    """The options of a job, as those of `mashpix denoise`; all have defaults."""

    model_config = ConfigDict(extra="forbid")

    preset: str = Field("default", description="settings to start from")
    settings: dict[str, Any] = Field(default_factory=dict, description="other values for some settings, by name")
    seed: int = Field(0, ge=0, lt=2**63)
    channels: Channels = "auto"
    networks: Networks = "shared"
    axes: str | None = Field(None, max_length=16)
    strength: float = Field(1.0, ge=0, le=1)
    detail: float = Field(0.0, ge=0, le=1)
    data_range: float | None = Field(None, gt=0, allow_inf_nan=False)
    strict: bool = False

    def build_settings(self) -> Settings:
        """Return the settings; `UsageError` for an unknown preset or a value outside its limits."""
        known = preset(self.preset)
        try:
            return known.replace(**self.settings)
        except TypeError:
            unknown = sorted(set(self.settings) - set(known.to_dict()))
            raise UsageError(f"`settings`: unknown ({', '.join(unknown)[:200]})") from None

    @property
    def options(self) -> dict[str, Any]:
        """The other options of a `DenoiseRequest`, but for those that say how a file is read."""
        names = ("seed", "networks", "strength", "detail", "data_range", "strict")
        return {name: getattr(self, name) for name in names}
