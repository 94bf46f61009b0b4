"""`python -m yarn_kata_runtime.cli`, as the launcher calls it."""

import sys

from yarn_kata_runtime.cli.main import main

sys.exit(main(sys.argv[1:]))
