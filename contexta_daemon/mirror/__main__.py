"""The process that makes lines; see worker.py."""

import sys

from .worker import main

sys.exit(main())
