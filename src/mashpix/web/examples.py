"""The parts of the OpenAPI description that code cannot say: bodies of forms, kinds of answers, examples."""

from typing import Any

from mashpix.web.asked import Asked
from mashpix.web.views import Error

CURL = """curl -F file=@noisy.tif -F 'request={"preset": "fast"}' http://127.0.0.1:8421/api/jobs"""
PYTHON = """import httpx, time

server = httpx.Client(base_url="http://127.0.0.1:8421")
job = server.post("/api/jobs", files={"file": open("noisy.tif", "rb")}).json()
while job["state"] not in ("done", "failed"):
    time.sleep(1)
    job = server.get(f"/api/jobs/{job['id']}").json()
open(job["outcome"]["name"], "wb").write(server.get(f"/api/jobs/{job['id']}/result").content)"""


def _errors(*codes: int) -> dict[int | str, dict[str, Any]]:
    return {code: {"model": Error} for code in codes}


def _also(content: str, *codes: int, schema: dict[str, Any] | None = None) -> dict[str, Any]:
    """Return the keywords of a route that answers with a kind of content, or with errors."""
    kind = schema or {"type": "string", "format": "binary"}
    return {"responses": {200: {"content": {content: {"schema": kind}}}} | _errors(*codes)}


_FORM = {
    "type": "object",
    "required": ["file"],
    "properties": {
        "file": {"type": "string", "format": "binary", "description": "the image or stack"},
        "request": {
            "type": "string",
            "description": "options as JSON; see the schema Asked",
            "contentMediaType": "application/json",
            "contentSchema": Asked.model_json_schema(),
        },
        "start": {"type": "string", "enum": ["true", "false"], "default": "true"},
    },
    "additionalProperties": False,
}

ALWAYS = _errors(400, 401, 403, 415, 422, 431)
"""What every route may answer: to broken requests, foreign pages, and those who do not know the token."""
POST_JOB: dict[str, Any] = {
    "openapi_extra": {
        "requestBody": {"required": True, "content": {"multipart/form-data": {"schema": _FORM}}},
        "x-codeSamples": [{"lang": "Shell", "source": CURL}, {"lang": "Python", "source": PYTHON}],
    },
    "responses": _errors(413, 429, 507),
}
REFUSED: dict[str, Any] = {"responses": _errors(404, 409, 413, 429, 507)}
NOT_FOUND: dict[str, Any] = {"responses": _errors(404)}
EVENTS = _also("text/event-stream", 404, schema={"type": "string"})
PREVIEW = _also("image/png", 404)
FILE = _also("application/octet-stream", 404)
RECIPE = _also("application/json", 404, schema={"type": "object"})
REPORT: dict[str, Any] = {
    "responses": {200: {"content": {"application/json": {"schema": {"type": "object"}}, "text/html": {}}}}
    | _errors(404)
}
ZIP = _also("application/zip", 404)
