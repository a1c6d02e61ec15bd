"""Writes the data of the demo task: the handwritten digits that scikit-learn bundles.

    .venv/bin/python scripts/fetch-digits.py [FOLDER]       FOLDER: crates/cli/demo

Needs scikit-learn; nothing is downloaded. The 1797 images of the UCI optical recognition of
handwritten digits data set (8x8 pixels, values 0..16) are shuffled with a fixed seed: the last 500
evaluate, the others train, and the first 256 of those calibrate. The same seed writes the same bytes.
"""

import pathlib
import sys

import numpy
from sklearn.datasets import load_digits

SEED = 20261
EVALUATION = 500
CALIBRATION = 256


def main() -> None:
    default = pathlib.Path(__file__).resolve().parent.parent / "crates" / "cli" / "demo"
    folder = pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else default
    folder.mkdir(parents=True, exist_ok=True)

    digits = load_digits()
    images = digits.images.astype(numpy.uint8).reshape(-1, 1, 8, 8)
    assert images.shape == (1797, 1, 8, 8) and images.max() == 16
    assert numpy.array_equal(images.reshape(-1, 8, 8), digits.images)
    labels = digits.target.astype(numpy.int64)

    # RandomState's stream is frozen by NumPy's compatibility policy; default_rng's is not.
    order = numpy.random.RandomState(SEED).permutation(len(images))
    train, evaluation = order[:-EVALUATION], order[-EVALUATION:]
    arrays = {
        "train_x": images[train],
        "train_y": labels[train],
        "calib_x": images[train[:CALIBRATION]],
        "eval_x": images[evaluation],
        "eval_y": labels[evaluation],
    }
    for name, array in arrays.items():
        path = folder / f"{name}.npy"
        numpy.save(path, array)
        print(f"{path}: {array.dtype} {list(array.shape)}, {path.stat().st_size} bytes")


if __name__ == "__main__":
    main()
