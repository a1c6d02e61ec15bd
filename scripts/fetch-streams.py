"""Writes the data of the two streaming examples: recordings that the package aeon bundles.

    python -m pip install --no-deps aeon==1.6.0
    python scripts/fetch-streams.py [FOLDER]       FOLDER: examples

Needs NumPy and the files of aeon, none of its code; nothing is downloaded. Two folders are written, with the
data sets' own splits into training and test recordings; a part of the former calibrates:

vowels    Japanese Vowels: utterances of nine speakers, 12 cepstral coefficients a frame. The utterances
          of a split follow each other in an order drawn by a fixed seed, as on a line that many people use,
          cut into sequences of 64 frames, `[sequences, 64, 12]`. The label of a frame is who speaks.
          Coefficients are stored in steps of 1/56, as 8-bit integers.
motions   Basic Motions: accelerometer and gyroscope of a smart watch at 10 Hz, `[recordings, 6, 100]`, in
          steps of 1/512. The label of a step is what its wearer does; the first 30 steps have none, for a
          network that looks back so far.

The same package writes the same bytes.
"""

import importlib.util
import pathlib
import sys

import numpy

SEED = 20261
SEQUENCE = 64
VOWEL_STEPS = 56
MOTION_STEPS = 512
LOOK_BACK = 30
CALIBRATION = 64


def main() -> None:
    root = pathlib.Path(__file__).resolve().parent.parent
    folder = pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else root / "examples"
    package = importlib.util.find_spec("aeon")
    if package is None:
        sys.exit("fetch-streams: missing: aeon; python -m pip install --no-deps aeon==1.6.0")
    data = pathlib.Path(package.submodule_search_locations[0]) / "datasets" / "data"

    random = numpy.random.RandomState(SEED)
    for ours, theirs in [("train", "TRAIN"), ("eval", "TEST")]:
        recordings, labels = read(data / "JapaneseVowels" / f"JapaneseVowels_{theirs}.ts")
        order = random.permutation(len(recordings))
        frames = numpy.concatenate([recordings[one].T for one in order])
        speakers = numpy.concatenate([[labels[one]] * len(recordings[one].T) for one in order])
        whole = len(frames) // SEQUENCE * SEQUENCE
        write(
            folder / "vowels",
            ours,
            integers(frames[:whole], VOWEL_STEPS, numpy.int8).reshape(-1, SEQUENCE, 12),
            speakers[:whole].reshape(-1, SEQUENCE),
        )

        recordings, labels = read(data / "BasicMotions" / f"BasicMotions_{theirs}.ts")
        steps = recordings[0].shape[1] - LOOK_BACK
        write(
            folder / "motions",
            ours,
            integers(numpy.stack(recordings), MOTION_STEPS, numpy.int16),
            numpy.repeat(numpy.array(labels)[:, None], steps, axis=1),
        )


def read(path: pathlib.Path) -> tuple[list[numpy.ndarray], list[int]]:
    """The recordings `[channels, steps]` of a `.ts` file, and their classes as numbers."""
    head, _, body = path.read_text().partition("@data\n")
    classes = next(line for line in head.splitlines() if line.startswith("@classLabel true"))
    classes = classes.split()[2:]
    recordings, labels = [], []
    for line in body.splitlines():
        *channels, name = line.strip().split(":")
        values = [[float(value) for value in channel.split(",")] for channel in channels]
        recordings.append(numpy.array(values))
        labels.append(classes.index(name))
    return recordings, labels


def integers(values: numpy.ndarray, steps: int, dtype: type) -> numpy.ndarray:
    scaled = numpy.rint(values * steps)
    limits = numpy.iinfo(dtype)
    assert limits.min <= scaled.min() and scaled.max() <= limits.max, "too few bits"
    return scaled.astype(dtype)


def write(folder: pathlib.Path, split: str, samples: numpy.ndarray, labels: numpy.ndarray) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    arrays = {f"{split}_x": samples, f"{split}_y": labels.astype(numpy.uint8)}
    if split == "train":
        arrays["calib_x"] = samples[:CALIBRATION]
    for name, array in arrays.items():
        path = folder / f"{name}.npy"
        numpy.save(path, array)
        print(f"{path}: {array.dtype} {list(array.shape)}, {path.stat().st_size} bytes")


if __name__ == "__main__":
    main()
