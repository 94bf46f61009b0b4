"""Where the launcher starts the interpreter: `python -IS entry.py <index of the verb> <arguments>...`."""

import gc
import os
import sys

gc.disable()  # there is nothing to find in so short a life
sys.path.insert(0, __file__.rsplit("/", 3)[0])  # -IS leaves nothing but the standard library on it

from yarn_kata_runtime.runtime.main import main  # noqa: E402

code = main(sys.argv[2:], int(sys.argv[1]) - 1)
if sys.stdout:
    sys.stdout.flush()
os._exit(code)  # to take the interpreter down costs 1 ms and gives nothing back
