# SPDX-License-Identifier: MIT OR Apache-2.0
# Copyright (c) 2026 The burn-ptq authors
"""Runs .tflite files on samples and counts the outputs that differ.

    python3 check.py [MODEL.tflite ..] [--samples SAMPLES.bin] [--runtime NAME]

Without a name it runs all files of its folder, on every runtime that is installed: tflm, litert or
litert-reference.

A sample is the bytes of all inputs, then those of all outputs. TensorFlow Lite Micro (tflite-micro on
PyPI) must give the same bytes, and the exit status is 1 if it does not; LiteRT (ai-edge-litert) rounds
otherwise in places, and differences are counted only.
"""

import argparse
import importlib.util
import pathlib
import sys

import numpy as np


class Micro:
    """TensorFlow Lite Micro."""

    exact = True

    def __init__(self, model):
        from tflite_micro import runtime

        size = 1 << 20
        while True:
            try:
                self.interpreter = runtime.Interpreter.from_bytes(model, arena_size=size)
                break
            except RuntimeError:
                if size >= 1 << 29:
                    raise
                size *= 4

    def ends(self):
        def all_of(details):
            found = []
            while True:
                try:
                    found.append(details(len(found)))
                except (IndexError, RuntimeError, ValueError):
                    return found

        interpreter = self.interpreter
        return all_of(interpreter.get_input_details), all_of(interpreter.get_output_details)

    def run(self, inputs, outputs):
        for index, value in enumerate(inputs):
            self.interpreter.set_input(value, index)
        self.interpreter.invoke()
        return [self.interpreter.get_output(index) for index in range(outputs)]


class LiteRT:
    """LiteRT: its optimized kernels, or those of reference."""

    exact = False

    def __init__(self, model, reference=False):
        from ai_edge_litert import interpreter as litert

        resolver = litert.OpResolverType
        kind = resolver.BUILTIN_REF if reference else resolver.AUTO
        self.interpreter = litert.Interpreter(
            model_content=model, experimental_op_resolver_type=kind
        )
        self.interpreter.allocate_tensors()

    def ends(self):
        return self.interpreter.get_input_details(), self.interpreter.get_output_details()

    def run(self, inputs, outputs):
        for details, value in zip(self.interpreter.get_input_details(), inputs):
            self.interpreter.set_tensor(details["index"], value)
        self.interpreter.invoke()
        details = self.interpreter.get_output_details()
        return [self.interpreter.get_tensor(details[index]["index"]) for index in range(outputs)]


RUNTIMES = {
    "tflm": ("tflite_micro", Micro),
    "litert": ("ai_edge_litert", LiteRT),
    "litert-reference": ("ai_edge_litert", lambda model: LiteRT(model, reference=True)),
}


def count(runtime, samples):
    """The number of samples, of output elements, of those that differ, and the largest difference."""
    inputs, outputs = runtime.ends()
    kinds = [np.dtype(end["dtype"]) for end in inputs + outputs]
    shapes = [tuple(end["shape"]) for end in inputs + outputs]
    sizes = [int(np.prod(shape)) * kind.itemsize for shape, kind in zip(shapes, kinds)]
    if not samples or len(samples) % sum(sizes):
        sys.exit(f"samples of {sum(sizes)} bytes expected, found {len(samples)} bytes in all")
    elements = differing = largest = 0
    for start in range(0, len(samples), sum(sizes)):
        values = []
        for size, shape, kind in zip(sizes, shapes, kinds):
            values.append(np.frombuffer(samples, kind, size // kind.itemsize, start).reshape(shape))
            start += size
        found = runtime.run(values[: len(inputs)], len(outputs))
        for found, expected in zip(found, values[len(inputs) :]):
            distance = np.abs(found.astype(np.int64) - expected.astype(np.int64))
            elements += distance.size
            differing += int(np.count_nonzero(distance))
            largest = max(largest, int(distance.max()))
    return len(samples) // sum(sizes), elements, differing, largest


def main():
    here = pathlib.Path(__file__).resolve().parent
    parser = argparse.ArgumentParser()
    parser.add_argument("models", nargs="*", default=sorted(here.glob("*.tflite")))
    parser.add_argument("--samples", default=here / "samples.bin")
    parser.add_argument("--runtime", choices=RUNTIMES)
    args = parser.parse_args()
    names = [args.runtime] if args.runtime else list(RUNTIMES)
    names = [name for name in names if importlib.util.find_spec(RUNTIMES[name][0])]
    if not names:
        sys.exit("no runtime found: pip install tflite-micro, or ai-edge-litert")
    samples = pathlib.Path(args.samples).read_bytes()
    failed = False
    for model in map(pathlib.Path, args.models):
        for name in names:
            runtime = RUNTIMES[name][1](model.read_bytes())
            total, elements, differing, largest = count(runtime, samples)
            print(
                f"{model.name}, {name}: {total} samples, {differing} of {elements} outputs differ, "
                f"by at most {largest}"
            )
            failed |= runtime.exact and differing > 0
    sys.exit(failed)


if __name__ == "__main__":
    main()
