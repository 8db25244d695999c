"""The web application: page, API and guard put together."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from fastapi import APIRouter, FastAPI, Request
from fastapi.responses import FileResponse, Response
from fastapi.staticfiles import StaticFiles

from mashpix import __version__
from mashpix.web import examples, jobs_api, login, results_api, views
from mashpix.web.errors import ApiError, add_handlers
from mashpix.web.guard import Guard
from mashpix.web.info import describe_server
from mashpix.web.limits import ServerOptions
from mashpix.web.scheduler import Scheduler
from mashpix.web.store import Store

PAGE = Path(__file__).parent / "page"
"""Files of the page."""
ABOUT = """Denoise images from themselves alone. A job is one uploaded file with its settings and results.

Errors are JSON, `{"code": ..., "message": ...}`. With a token, send `Authorization: Bearer TOKEN`."""

pages = APIRouter(include_in_schema=False)


@pages.get("/")
def get_page() -> Response:
    """Return the page."""
    return _page("index.html")


@pages.get("/docs")
def get_docs() -> Response:
    """Return the description of the API for people."""
    return _page("docs.html")


def _page(name: str) -> Response:
    if not (PAGE / name).is_file():
        raise ApiError(404, "not_found", "there is no such page")
    return FileResponse(PAGE / name)


info = APIRouter(tags=["server"])


@info.get("/api/info", response_model=views.Info)
def get_info(request: Request) -> Any:
    """Say what this server can do: version, presets, settings, limits."""
    return describe_server(request.app.state.options)


def make_app(options: ServerOptions) -> Guard:
    """Make the application of a server; the jobs of its folder are taken up when it starts."""

    @asynccontextmanager
    async def life(app: FastAPI) -> AsyncIterator[None]:
        app.state.scheduler = Scheduler(options, Store(options.folder))
        await app.state.scheduler.start()
        yield
        await app.state.scheduler.end()

    about: dict[str, Any] = {"title": "mashpix", "version": __version__, "description": ABOUT}
    app = FastAPI(**about, responses=examples.ALWAYS, lifespan=life, docs_url=None, redoc_url=None)
    app.state.options = options
    for router in (pages, login.router, info, jobs_api.router, results_api.router):
        app.include_router(router)
    app.mount("/static", StaticFiles(directory=PAGE, check_dir=False))
    add_handlers(app)
    return Guard(app, options)
