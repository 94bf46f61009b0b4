"""Where the launcher starts the interpreter: `python -IS entry.py <index of the verb> <arguments>...`."""

import sys

sys.path.insert(0, __file__.rsplit("/", 3)[0])  # -IS leaves nothing but the standard library on it

from yarn_kata_runtime.runtime.main import main  # noqa: E402

sys.exit(main(sys.argv[2:], int(sys.argv[1]) - 1))
