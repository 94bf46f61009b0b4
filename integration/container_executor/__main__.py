"""Entry of the stand-in on a node: `python3 -I <library folder> <setuid program> [arguments]`."""

import os
import sys

from integration.container_executor.main import main

sys.exit(main(sys.argv[1], sys.argv[2:], os.getuid()))
