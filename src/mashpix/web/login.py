"""The form that takes the token of a server, and gives the page a cookie for it: the token is never in a URL."""

import hmac
from typing import Annotated

from fastapi import APIRouter, Form, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from mashpix.web.guard import COOKIE, session_of

router = APIRouter(include_in_schema=False)

PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark"><title>mashpix: token</title>
<link rel="icon" href="/static/icon.svg" type="image/svg+xml"><link rel="stylesheet" href="/static/page.css"></head>
<body><main class="login"><h1><img class="mark" src="/static/icon.svg" alt="">mashpix</h1>
<form method="post" action="/login"><label class="field"><span>Token</span>
<input type="password" name="token" autocomplete="current-password" required autofocus></label>
<p class="error" role="alert">{problem}</p><button class="primary">Go on</button></form></main></body></html>
"""


@router.get("/login")
def show_form() -> HTMLResponse:
    """Show the form."""
    return HTMLResponse(PAGE.format(problem=""))


@router.post("/login")
def log_in(request: Request, token: Annotated[str, Form(max_length=1000)]) -> Response:
    """Set the cookie, if the token is right."""
    known = request.app.state.options.token
    if known is None or not hmac.compare_digest(token.encode(), known.encode()):
        return HTMLResponse(PAGE.format(problem="That is not the token of this server."), status_code=401)
    response = RedirectResponse("/", status_code=303)
    response.set_cookie(COOKIE, session_of(known), httponly=True, samesite="strict", path="/")
    return response
