"""`python -m echopulse.cli`, where the package is not installed."""

import sys

from echopulse.cli import main

sys.exit(main())
