"""Take the screenshots of docs/web, with a server and a browser of its own: `python docs/web_screenshots.py`."""

import re
import subprocess
import sys
import tempfile
from importlib.resources import files
from io import BytesIO
from pathlib import Path
from shutil import which

import numpy as np
import tifffile
from PIL import Image
from playwright.sync_api import Page, sync_playwright

OUT = Path(__file__).parent / "web"
SIZES = {"desktop": {"width": 1280, "height": 800}, "phone": {"width": 390, "height": 844}}
MAX_BYTES = 150_000
SAMPLE = files("mashpix").joinpath("data/sample.png").read_bytes()


def make_stack() -> bytes:
    """Return a 16-bit TIFF of 2 times and 7 depths: round cells that come into focus, with photon noise."""
    rng = np.random.default_rng(0)
    z, y, x = np.mgrid[:7, :192, :256]
    photons = np.full(z.shape, 3.0)
    for _ in range(60):
        depth, top, left, size = rng.uniform((0, 0, 0, 4), (7, 192, 256, 14))
        photons += 22 * np.exp(-(((y - top) ** 2 + (x - left) ** 2) / size**2 + (z - depth) ** 2 / 3))
    values = 100 + 40 * rng.poisson(np.stack([photons, 0.8 * photons]))
    encoded = BytesIO()
    tifffile.imwrite(encoded, values.astype(np.uint16), imagej=True, metadata={"axes": "TZYX"})
    return encoded.getvalue()


def save(page: Page, name: str) -> None:
    """Save what is seen, with as many colours as fit into the limit."""
    page.mouse.move(2, 2)
    page.wait_for_timeout(700)
    image = Image.open(BytesIO(page.screenshot())).convert("RGB")
    for colours in (256, 192, 128, 96, 64, 48):
        image.quantize(colours, dither=Image.Dither.NONE).save(OUT / f"{name}.png", optimize=True)
        if (OUT / f"{name}.png").stat().st_size <= MAX_BYTES:
            return
    raise SystemExit(f"{name}: too large")


def send(page: Page, name: str, data: bytes) -> None:
    """Choose a file, and show it."""
    page.set_input_files("#files", {"name": name, "mimeType": "application/octet-stream", "buffer": data})
    page.click(f"#rows a >> text={name}")


def tour(page: Page, tag: str) -> None:
    """Go through all states and take a picture of each."""
    phone = page.viewport_size == SIZES["phone"]

    def show(selector: str) -> None:
        if phone:  # what it is about, below the viewer
            page.locator(selector).first.scroll_into_view_if_needed()

    page.wait_for_selector("#formats:not(:empty)")
    save(page, f"start-{tag}")
    page.click("#sample")
    page.wait_for_selector("#panel .primary >> text=Denoise", timeout=120_000)
    save(page, f"before-{tag}")
    page.check("[name=preset][value=fast]")
    page.click("#panel .primary >> text=Denoise")
    page.wait_for_selector("#chip-right >> text=Clearing", timeout=120_000)
    page.wait_for_timeout(1500)
    save(page, f"during-{tag}")
    page.wait_for_selector("text=Use as input again", timeout=300_000)
    show("#view-bar")
    save(page, f"after-{tag}")
    if phone:
        page.locator(".verdict").evaluate("(card) => card.scrollIntoView({ block: 'start' })")
        save(page, f"verdict-{tag}")
    page.evaluate("scrollTo(0, 0)")
    send(page, "broken scan.png", SAMPLE[:20000])
    page.wait_for_selector("text=This did not work.", timeout=60_000)
    show(".verdict.lost")
    save(page, f"error-{tag}")
    page.evaluate("scrollTo(0, 0)")
    send(page, "cells.tif", make_stack())
    page.wait_for_selector("#panel .primary >> text=Denoise", timeout=120_000)
    page.click("#window summary")
    save(page, f"stack-{tag}")


def main() -> None:
    """Start a server in a folder of its own, and take the tour in both sizes, light and dark."""
    OUT.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as running:
        command = [sys.executable, "-m", "mashpix", "serve", "--no-browser", "--port", "0", "--folder", folder]
        server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert server.stdout is not None
        address = re.findall(r"http://\S+", server.stdout.readline())[0]
        browser = running.chromium.launch(executable_path=which("chromium"), args=["--no-sandbox"])
        for size, viewport in SIZES.items():
            for scheme in ("light", "dark"):
                context = browser.new_context(viewport=viewport, color_scheme=scheme)  # type: ignore[arg-type]
                page = context.new_page()
                page.goto(address)
                for job in page.request.get(f"{address}api/jobs").json()["jobs"]:
                    page.request.delete(f"{address}api/jobs/{job['id']}")
                page.reload()
                tour(page, f"{size}-{scheme}")
                context.close()
        browser.close()
        server.terminate()
        server.wait()


if __name__ == "__main__":
    main()
