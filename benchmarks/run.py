"""Run benchmarks, each in a fresh process, and write one page.

python benchmarks/run.py --all --out docs/results/benchmarks.md
python benchmarks/run.py training density
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
from pathlib import Path

from child import run
from page import Section, environment, from_json, write

SCRIPTS = (
    "training",
    "likelihood",
    "compile_time",
    "compile_recipes",
    "density",
    "inversion",
    "convolution",
    "latent",
    "memory",
    "imports",
)
HERE = Path(__file__).resolve().parent


def sections(name: str, quick: bool) -> list[Section]:
    """The measurements of one script."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "page.md"
        words = [str(HERE / f"{name}.py"), "--out", str(out), *(["--quick"] if quick else [])]
        run(words)
        record = json.loads(out.with_suffix(".json").read_text())
    return [from_json(section) for section in record["sections"]]


def main() -> None:
    """Parse, run, write."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(SCRIPTS)}")
    parser.add_argument("--all", action="store_true", help="every one")
    parser.add_argument("--out", type=Path, help="write FILE.md and FILE.json")
    parser.add_argument("--quick", action="store_true", help="tiny sizes: does it run at all?")
    options = parser.parse_args()
    unknown = [name for name in options.names if name not in SCRIPTS]
    if unknown or not (options.names or options.all):
        parser.error(f"name some of: {', '.join(SCRIPTS)}; or --all")
    where = environment()
    done: list[Section] = []
    for name in SCRIPTS if options.all else options.names:
        print(f"{name} …", flush=True)
        for section in sections(name, options.quick):
            print("\n" + section.markdown(), flush=True)
            done.append(section)
    where["load average at the end"] = f"{os.getloadavg()[0]:.2f}"
    if options.out:
        write(done, options.out, where)


if __name__ == "__main__":
    main()
