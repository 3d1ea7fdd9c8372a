"""``python -m maskclr_edge`` is ``maskclr-edge``."""

import sys

from maskclr_edge.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
