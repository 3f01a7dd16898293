"""What every test stands on: one thread, no network, no cache of the user's, the golden vectors."""

import os
import tempfile
from pathlib import Path

# Set before torch is imported: results must not depend on how many threads share the machine.
os.environ["OMP_NUM_THREADS"] = "1"
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["GROUNDED_RAM_OFFLINE"] = "1"
os.environ["GROUNDED_RAM_HOME"] = str(Path(tempfile.gettempdir()) / "grounded-ram-test-cache")
os.environ.pop("GROUNDED_RAM_PRESET", None)
os.environ.pop("HF_HOME", None)
os.environ.pop("HF_HUB_CACHE", None)
os.environ.pop("HUGGINGFACE_HUB_CACHE", None)

import pytest
import torch
from hypothesis import HealthCheck, settings

torch.set_num_threads(1)

# A busy machine must not turn a test red.
settings.register_profile("suite", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("suite")

GOLDEN = Path(__file__).parent / "golden"
SHARED = Path(__file__).parents[2] / "shared"


@pytest.fixture(scope="session")
def golden() -> Path:
    """The folder of golden vectors; its README says what they are and how close to come."""
    return GOLDEN


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of facts beside the checkout; tests that need it skip where it is absent."""
    if not SHARED.is_dir():
        pytest.skip(f"needs {SHARED}: the full vocabulary and tag lists are not ours to ship")
    return SHARED
