"""``python -m v2skit`` is ``v2skit``."""

import sys

from v2skit.cli.main import main

sys.exit(main())
