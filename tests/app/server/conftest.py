from collections.abc import Iterator

import pytest

from grounded_ram.app.server.api import create_app
from grounded_ram.pipeline import GroundedRAM
from tests.app.server.live import SMALL, Live, serving


@pytest.fixture(scope="session")
def model() -> GroundedRAM:
    """The tiny model, up to four pictures at a time."""
    return GroundedRAM("tiny", device="cpu", batch_size=4)


@pytest.fixture(scope="session")
def live(model: GroundedRAM) -> Iterator[Live]:
    """A server with small limits."""
    with serving(create_app(model, SMALL)) as running:
        yield running
