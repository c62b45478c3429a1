"""What the OpenAPI promises holds for questions that nobody thought of, right and wrong ones."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from otc_assets.serving.app import ROUTERS
from otc_assets_tests.serving.conftest import serving

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
]
PATHS = [route.path for router in ROUTERS for route in router.routes]
pytestmark = pytest.mark.filterwarnings("ignore::otc_assets.research.knowledge.UnknownSymbol")


@pytest.fixture(scope="module")
def described(judged_home: Path) -> Iterator[schemathesis.BaseSchema]:
    """The server's own description, as a client gets it."""
    with serving(OTC_HOME=str(judged_home), OTC_API_REQUESTS_PER_SECOND="100000") as api:
        yield schemathesis.openapi.from_url(f"{api.base_url}/v1/openapi.json")


@pytest.mark.parametrize("mode", GenerationMode)
@pytest.mark.parametrize("path", PATHS)
def test_answers_are_as_described(
    described: schemathesis.BaseSchema, path: str, mode: GenerationMode
):
    @settings(
        max_examples=8,
        derandomize=True,
        database=None,
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=described[path]["GET"].as_strategy(mode))
    def holds(case: schemathesis.Case) -> None:
        case.call_and_validate(checks=CHECKS)

    holds()


def test_every_argument_and_answer_is_described(described: schemathesis.BaseSchema):
    for path in PATHS:
        operation = described.raw_schema["paths"][path]["get"]
        assert operation["summary"]
        assert operation["description"]
        for argument in operation["parameters"]:
            assert argument.get("description"), argument["name"]
        content = operation["responses"]["200"]["content"]
        assert set(content) >= {"application/json", "text/csv"}
