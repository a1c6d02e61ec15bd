# SPDX-License-Identifier: MIT OR Apache-2.0
# Copyright (c) 2026 The burn-ptq authors
"""Runs .onnx files on samples and counts the outputs that differ from the integer program's.

    python3 check.py [MODEL.onnx ..] [--samples SAMPLES.bin] [--steps MOST]

Without a name it runs all files of its folder, each without and with the optimizations of ONNX Runtime
(onnxruntime on PyPI). A sample is all inputs as 32-bit floats, then all outputs that the integer program
gave. Samples of a network with states are one sequence, from the states that the file names.

Runtimes round otherwise than the program, so differences are counted. With --steps, the exit status is 1 if
an output differs by more steps of its grid.
"""

import argparse
import pathlib
import sys

import numpy as np
import onnxruntime

LEVELS = {
    "plain": onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL,
    "optimized": onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL,
}


def load(path, level):
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = LEVELS[level]
    options.log_severity_level = 3
    # Otherwise ONNX Runtime saturates sums of products at 16 bits on x86 cores without VNNI; it does not where the
    # file has operators on integers, which this option would mix up.
    if b"QLinear" not in path.read_bytes():
        options.add_session_config_entry("session.x64quantprecision", "1")
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def extents(end):
    """The shape of an input or output for one sample."""
    return [1] + list(end.shape[1:])


def count(session, samples):
    """The number of samples, of output elements, of those that differ, and the largest difference in steps."""
    metadata = session.get_modelmeta().custom_metadata_map
    steps = [float(step) for step in metadata["burn-ptq-output-steps"].split()]
    initial = [float(value) for value in metadata.get("burn-ptq-initial-states", "").split()]
    inputs, outputs = session.get_inputs(), session.get_outputs()
    kept = len(outputs) - len(steps)
    states = inputs[len(inputs) - kept :]
    held = {
        end.name: np.full(extents(end), value, np.float32) for end, value in zip(states, initial)
    }
    ends = inputs[: len(inputs) - kept] + outputs[: len(steps)]
    sizes = [int(np.prod(extents(end))) for end in ends]
    if samples.size == 0 or samples.size % sum(sizes):
        sys.exit(f"samples of {sum(sizes)} floats expected, found {samples.size} in all")
    elements = differing = largest = 0
    for sample in samples.reshape(-1, sum(sizes)):
        parts = np.split(sample, np.cumsum(sizes)[:-1])
        parts = [part.reshape(extents(end)) for part, end in zip(parts, ends)]
        given = {end.name: part for end, part in zip(inputs, parts)}
        found = session.run(None, {**given, **held})
        held = dict(zip(held, found[len(steps) :]))
        for step, found, expected in zip(steps, found, parts[len(inputs) - kept :]):
            distance = np.rint(np.abs(found.astype(np.float64) - expected) / step)
            elements += distance.size
            differing += int(np.count_nonzero(distance))
            largest = max(largest, int(distance.max()))
    return len(samples) // sum(sizes), elements, differing, largest


def main():
    here = pathlib.Path(__file__).resolve().parent
    parser = argparse.ArgumentParser()
    parser.add_argument("models", nargs="*", default=sorted(here.glob("*.onnx")))
    parser.add_argument("--samples", default=here / "samples.bin")
    parser.add_argument("--steps", type=int)
    args = parser.parse_args()
    samples = np.fromfile(args.samples, np.float32)
    failed = False
    for model in map(pathlib.Path, args.models):
        for level in LEVELS:
            total, elements, differing, largest = count(load(model, level), samples)
            print(
                f"{model.name}, {level}: {total} samples, {differing} of {elements} outputs differ, "
                f"by at most {largest} steps"
            )
            failed |= args.steps is not None and largest > args.steps
    sys.exit(failed)


if __name__ == "__main__":
    main()
