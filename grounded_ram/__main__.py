"""``python -m grounded_ram``: the same as the command ``grounded-ram``."""

import sys

from grounded_ram.cli import main

if __name__ == "__main__":
    sys.exit(main())
