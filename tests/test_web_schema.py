"""Laws of the API's description: every answer is one that it has, and none is an error of the server."""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis.strategies import booleans, one_of

from web_server import png, serving

schemathesis = pytest.importorskip("schemathesis", reason="schemathesis is not here")
from schemathesis.checks import not_a_server_error  # noqa: E402
from schemathesis.specs.openapi import checks  # noqa: E402

pytestmark = [
    pytest.mark.web,
    pytest.mark.skipif("not __import__('pathlib').Path('/proc/self').exists()", reason="needs /proc"),
]
CHECKS = [
    not_a_server_error,
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_headers_conformance,
    checks.response_schema_conformance,
]


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with serving(tmp_path_factory.mktemp("jobs"), queue=4, max_upload=100_000) as server:
        yield server


@pytest.fixture(scope="module")
def job(server):
    """A job that is done."""
    return server.wait(server.post(png(np.eye(24, dtype=np.uint8) * 200)).json()["id"], "done")


@pytest.fixture(scope="module")
def description(server):
    return schemathesis.openapi.from_url(f"{server.address}openapi.json").exclude(path_regex="events$")  # endless


def test_every_answer_is_one_that_the_description_has(description, server, job):
    for found in description.get_all_operations():
        operation = found.ok()

        @settings(max_examples=12, suppress_health_check=list(HealthCheck))
        @given(
            one_of(*(operation.as_strategy(generation_mode=mode) for mode in schemathesis.GenerationMode)), booleans()
        )
        def call(case, is_known):
            if is_known and case.method != "DELETE" and "id" in (case.path_parameters or {}):
                case.path_parameters["id"] = job["id"]
            case.call_and_validate(checks=CHECKS)

        call()
    assert server.is_well()
