from pathlib import Path

import pytest

from grounded_ram.training.pool import Pool, open_pool


@pytest.fixture(scope="session")
def scenes_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("scenes")


@pytest.fixture(scope="session")
def pool(scenes_folder: Path) -> Pool:
    """Five hundred small scenes, drawn once for all tests."""
    return open_pool(scenes_folder, first_seed=30_000_000, count=500, size=96, workers=2)
