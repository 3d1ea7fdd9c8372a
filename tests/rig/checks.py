"""Runs what is checked of the TensorRT runner, in a process for one release and one CUDA layer.

    python checks.py --shared DIR --rig DIR --libcuda FILE [--site DIR]... --layer NAME --bundle DIR
                     [--only CHECK]... [--calls N]

The checks are the functions check_* of the files checks_*.py beside this one. DIR of --bundle is a tiny
network, for most checks are about the path and not about the arithmetic.

Prints one JSON object: check -> "ok" or what went wrong.
"""

import importlib
import json
import os
import shutil
import sys
import time
import traceback
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from rig_bench import Bench, parser_of_the_rig

THEMES = sorted(file.stem for file in Path(__file__).parent.glob("checks_*.py"))
CHECKS = {
    name.removeprefix("check_"): function
    for theme in THEMES
    for name, function in vars(importlib.import_module(theme)).items()
    if name.startswith("check_")
}


def main() -> None:
    """Run the checks that were asked for and print what came of them."""
    parser = parser_of_the_rig(__doc__)
    parser.add_argument("--only", choices=CHECKS, action="append")
    arguments = parser.parse_args()
    bench = Bench(arguments)
    answers = {}
    for name, check in CHECKS.items():
        if name in (arguments.only or CHECKS):
            began = time.monotonic()
            try:
                check(bench)
                answers[name] = "ok"
            except Exception:
                answers[name] = traceback.format_exc()
            print(f"-- {name}: {time.monotonic() - began:.1f} s", file=sys.stderr, flush=True)
    shutil.rmtree(bench.root)
    print(json.dumps(answers), flush=True)
    os._exit(0)  # what the rig was taught on is not made to be collected


if __name__ == "__main__":
    main()
