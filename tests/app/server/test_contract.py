"""What the server does is what its OpenAPI says, for requests that fit it and for others."""

import base64
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, seed, settings
from hypothesis import strategies as st
from schemathesis.config import SchemathesisConfig
from schemathesis.transport.serialization import Binary

from grounded_ram.annotation import Tags
from grounded_ram.app.server.api import create_app
from grounded_ram.pipeline import GroundedRAM
from grounded_ram.scenes.scene import make_scene
from tests.app.server.live import SMALL, Live, encoded, png, serving
from tests.truth_stages import Truth

SCENE = make_scene(5, size=48)
PICTURES = [encoded(SCENE.image), png(3, size=16)]  # nothing is known of the second

schemathesis.openapi.format(
    "byte", st.sampled_from([base64.b64encode(x).decode() for x in PICTURES])
)
schemathesis.openapi.format("binary", st.sampled_from(PICTURES).map(Binary))


def named(case: schemathesis.Case) -> dict[str, Any]:
    """Give files a file's name, as every browser does."""
    if case.media_type != "multipart/form-data" or not isinstance(case.body, dict):
        return {}
    parts = [(key, getattr(part, "data", None), str(part)) for key, part in case.body.items()]
    return {
        "data": None,
        "files": [
            (key, ("a.png" if key == "file" else None, text.encode() if data is None else data))
            for key, data, text in parts
        ],
    }


class Unseen(dict[bytes, Any]):
    """Scenes by their pixels; any other picture shows nothing."""

    def __missing__(self, pixels: bytes) -> Any:
        return SimpleNamespace(tags=Tags.of(()), objects=())


def quick_model() -> GroundedRAM:
    """Make a model without networks, which knows one scene."""
    truth = Truth(SCENE)
    truth.scenes = Unseen(truth.scenes)
    return GroundedRAM("tiny", tagger=truth, detector=truth, segmenter=truth, device="cpu")


@pytest.fixture(scope="module")
def quick() -> Iterator[Live]:
    with serving(APP) as running:
        yield running


APP = create_app(quick_model(), SMALL)
schema = schemathesis.openapi.from_dict(
    APP.openapi(), config=SchemathesisConfig.from_dict({"seed": 8})
)


@schema.parametrize()
@seed(8)
@settings(max_examples=10, derandomize=True, suppress_health_check=list(HealthCheck))
def test_the_server_keeps_to_its_openapi(case: schemathesis.Case, quick: Live) -> None:
    case.call_and_validate(base_url=quick.url, timeout=60, **named(case))
