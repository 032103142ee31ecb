"""The process that writes columns; see worker.py."""

import sys

from .worker import main

sys.exit(main())
