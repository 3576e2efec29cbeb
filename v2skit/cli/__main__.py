"""``python -m v2skit.cli``, as the recipes of version 0.1 run their stages: refused, with the remedy."""

import sys

from v2skit.cli.main import main

sys.exit(main())
