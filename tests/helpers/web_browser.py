"""What tests of the page do in a browser: send files, choose settings, wait, and look at the pixels that are shown."""

import time
from base64 import b64decode
from contextlib import suppress
from io import BytesIO

import numpy as np
import tifffile
from PIL import Image

from web_server import SETTINGS, png

SLOW = SETTINGS | {"steps": 20_000}
"""Settings of a run that is stopped, cancelled or left alone by its test."""
AWAY = "ERR_CONNECTION_REFUSED|ERR_INCOMPLETE_CHUNKED_ENCODING|ERR_CONNECTION_RESET|ERR_EMPTY_RESPONSE"
"""What Chromium logs while the server is restarted."""


def until(is_so, seconds=90):
    """Wait until something is so; return what it gave."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        with suppress(AssertionError):
            if found := is_so():
                return found
        time.sleep(0.05)
    raise AssertionError(f"not so after {seconds} s: {is_so()}")


def upload(name, data):
    """Return a file to choose."""
    return {"name": name, "mimeType": "application/octet-stream", "buffer": data}


def ramp(shape, low, high, seed=0):
    """Return a ramp along x with noise of a twelfth of its height."""
    noise = np.random.default_rng(seed).normal(0, abs(high - low) / 12, shape)
    return np.linspace(low, high, shape[1]) * np.ones(shape) + noise


def photo(seed=0):
    """Return an 8-bit PNG in colour, 72 x 64."""
    planes = [ramp((64, 72), low, high, seed) for low, high in ((40, 200), (200, 30), (90, 110))]
    return png(np.clip(np.stack(planes, axis=-1), 0, 255).astype(np.uint8))


def cells():
    """Return a 16-bit TIFF of two times and three depths, each plane brighter than the one before."""
    planes = np.stack([ramp((48, 56), 60 * number, 60 * number + 600) for number in range(6)])
    encoded = BytesIO()
    values = planes.clip(0).astype(np.uint16).reshape(2, 3, 48, 56)
    tifffile.imwrite(encoded, values, imagej=True, metadata={"axes": "TZYX"})
    return encoded.getvalue()


def choose(page, settings):
    """Fill in settings of the form that is shown."""
    if not page.locator("[name='settings.steps']").is_visible():
        page.click("text=All settings")
    for name, value in settings.items():
        field = page.locator(f"[name='settings.{name}']")
        if isinstance(value, bool):
            field.select_option(str(value).lower())
        else:
            field.fill(str(value))


def run(page, settings=SETTINGS):
    """Denoise the image that is shown, once it is ready for that."""
    page.wait_for_selector(button := "#panel .actions .primary:text-is('Denoise')")
    choose(page, settings)
    page.click(button)


def wait_done(page):
    """Wait for the result of the image that is shown."""
    page.wait_for_selector("text=Use as input again")


def settled(page):
    """Return what the canvas shows when all its tiles are there, (y, x, 3); NaN outside of the image."""
    page.evaluate("new Promise((done) => requestAnimationFrame(() => setTimeout(done, 50)))")
    page.wait_for_selector("#canvas[aria-busy=false]")
    data = page.evaluate("document.querySelector('#canvas').toDataURL().split(',')[1]")
    shown = np.asarray(Image.open(BytesIO(b64decode(data))).convert("RGBA")).astype(float)
    return np.where(shown[..., 3:] > 0, shown[..., :3], np.nan)


def differ(one, other):
    """Return whether two pictures differ anywhere."""
    return not np.array_equal(one, other, equal_nan=True)


def tile(server, job, of, **how):
    """Return a tile of the server, (y, x, 3)."""
    answer = server.http.get(f"/api/jobs/{job['id']}/preview", params={"of": of, **how}).raise_for_status()
    return np.asarray(Image.open(BytesIO(answer.content)).convert("RGB")).astype(float)
