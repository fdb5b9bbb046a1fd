"""Train an example and save its package: `python examples/train.py iris --out models`, or `all`."""

import argparse
import sys
import warnings
from importlib import import_module
from pathlib import Path

NAMES = ("iris", "wine", "breast_cancer", "digits", "diabetes", "mixed")


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("name", choices=(*NAMES, "bare", "all"), help="the example, or all of them")
    parser.add_argument("--out", type=Path, default=Path("models"), help="the folder for the packages (models)")
    parser.add_argument("--replace", action="store_true", help="replace packages that are there already")
    options = parser.parse_args(arguments)
    for name in (*NAMES, "bare") if options.name == "all" else (options.name,):
        if name == "bare":
            file, labels = import_module("bare_iris").train(options.out / "bare")
            print(f"bare: {file} with {labels.name}")
            continue
        saved = import_module(name).train(options.out / name, replace=options.replace)
        manifest = saved.package.manifest
        metric = ", ".join(f"{key} {value}" for key, value in manifest.training.metrics.items())
        print(f"{name}: {saved.package.root} ({manifest.runtime}; {metric})")
    return 0


if __name__ == "__main__":
    # The converter asks a deprecated attribute of scikit-learn's own SVC; nothing of the examples is deprecated.
    warnings.filterwarnings("ignore", category=FutureWarning, module="sklearn")
    sys.path.insert(0, str(Path(__file__).parent))
    sys.exit(main(sys.argv[1:]))
