"""Every failure this package means to raise.

```text
GroundedRAMError
├── InputError               (ValueError)   an argument or an image that cannot be used
├── UnknownNameError         (LookupError)  a preset, backend, checkpoint or tag nobody knows
├── MissingDependencyError   (ImportError)  an extra that is not installed
├── WeightsError             (OSError)      a checkpoint that is absent, damaged, of another model
└── TrainingError            (RuntimeError) a training that cannot go on as it is
```
"""


class GroundedRAMError(Exception):
    """Base of every error that grounded_ram raises on purpose."""


class InputError(GroundedRAMError, ValueError):
    """An argument or an image cannot be used; the message says what was expected and what came."""


class UnknownNameError(GroundedRAMError, LookupError):
    """A name is in no table; the message lists the known names."""


class MissingDependencyError(GroundedRAMError, ImportError):
    """An optional library is not installed; the message says what to type."""


class WeightsError(GroundedRAMError, OSError):
    """A checkpoint is absent, damaged, or of another model; the message says which and why."""


class TrainingError(GroundedRAMError, RuntimeError):
    """A training cannot go on; the message says why and what to change."""
