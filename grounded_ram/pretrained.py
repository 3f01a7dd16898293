"""Networks of ``transformers``: its classes by name, and their weights from files we fetched.

``transformers`` never looks for a file itself: it gets a parsed config and the tensors, and renames
old keys as it does for its own downloads. It must lack no tensor and leave none over, but for those
that its class names as another's, such as a video network's memory in an image network's file.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import torch

from grounded_ram.errors import MissingDependencyError, WeightsError
from grounded_ram.weights import load_state_dict

ModelT = TypeVar("ModelT", bound=torch.nn.Module)


def transformers_class(name: str, since: str) -> Any:
    """Return a class of ``transformers``; ``since`` is the first version that has it.

    Raises:
        MissingDependencyError: the installed version is older.
    """
    import transformers

    try:
        return getattr(transformers, name)
    except AttributeError as error:
        raise MissingDependencyError(
            f"{name} came with transformers {since}, installed is {transformers.__version__}; "
            f"type: pip install 'transformers>={since}'"
        ) from error


def load_pretrained(
    model_class: type[ModelT],
    files: Mapping[str, Path],
    name: str,
    *,
    dtype: torch.dtype = torch.float32,
) -> ModelT:
    """Build a network from its config and put its weights in; it comes back in eval mode, on CPU.

    Args:
        model_class: a model class of ``transformers``.
        files: the paths of a ``Checkpoint``'s roles "config" (config.json) and "weights"
            (model.safetensors, or a PyTorch file), as ``weights.fetch`` returns them.
        name: the backend's name, for messages.
        dtype: type of the weights; what a file or config says of it is overruled.

    Raises:
        WeightsError: a file cannot be read, or config and weights do not fit: a tensor is missing,
            left over or of another shape.
    """
    state = load_state_dict(files["weights"])
    library: Any = model_class  # how it is typed changes with its version
    with _quiet():
        try:
            # Its from_pretrained would compare this with the default, for which some ask the hub.
            config = library.config_class(**json.loads(files["config"].read_text(encoding="utf-8")))
            model: ModelT
            model, report = library.from_pretrained(
                None,
                config=config,
                state_dict=state,
                torch_dtype=dtype,
                ignore_mismatched_sizes=True,  # they are told in the report, all at once
                output_loading_info=True,
            )
        except Exception as error:  # what transformers raises on a wrong config has no common base
            raise WeightsError(
                f"{name}: {files['config']}: expected the config of a {model_class.__name__}, "
                f"got {error!r}"
            ) from error
    _refuse_misfits(report, name, files["weights"])
    return model


def _refuse_misfits(report: Mapping[str, Any], name: str, weights: Path) -> None:
    problems = [f"missing {key}" for key in sorted(report["missing_keys"])]
    problems += [f"unexpected {key}" for key in sorted(report["unexpected_keys"])]
    problems += [_misshapen(entry) for entry in sorted(report["mismatched_keys"])]
    if problems:
        more = f" and {len(problems) - 3} more" if len(problems) > 3 else ""
        raise WeightsError(
            f"{weights} does not fit {name!r}: {'; '.join(problems[:3])}{more}; "
            "config and weights must be those of one model"
        )


def _misshapen(entry: str | tuple[str, Any, Any]) -> str:
    """Describe a tensor of another shape; some versions of transformers tell its name alone."""
    if isinstance(entry, str):
        return f"{entry} is of another shape"
    name, found, expected = entry
    return f"{name} is {tuple(found)}, expected {tuple(expected)}"


@contextmanager
def _quiet() -> Iterator[None]:
    """Draw no progress bar and log no report meanwhile: misfits are raised, not told."""
    import transformers

    logging: Any = transformers.utils.logging
    level, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity(logging.CRITICAL)
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(level)
        if bars:
            logging.enable_progress_bar()
