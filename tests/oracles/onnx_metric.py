"""Prints the metric of a task's evaluation data: of the integer program, and of its ONNX export in ONNX Runtime.

    python3 onnx_metric.py EXPORT TASK

EXPORT holds one .onnx file and samples.bin, with the outputs of the integer program on all evaluation samples; TASK
holds eval_x.npy, eval_y.npy and, for an autoencoder, eval_machine.npy. The file gets the raw samples, as
the source model did: where quantization of an input rounds otherwise, that counts too.

Of classes, the metric is the share of samples whose largest output is the label's. Of an autoencoder, which
takes windows of five frames, it is the area under the ROC curve of a clip's mean squared error, as a mean of
the machines. That of the integer program comes from the same formulas.
"""

import pathlib
import sys
import tomllib

import numpy as np
import onnxruntime
from sklearn.metrics import roc_auc_score

LEVELS = {
    "plain": onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL,
    "optimized": onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL,
}
BATCH = 128


def raw_inputs(task, rule):
    """What the source model takes of the task's samples."""
    samples = np.load(task / "eval_x.npy")
    frames = rule.get("window_frames")
    if frames:
        windows = np.lib.stride_tricks.sliding_window_view(samples, frames, axis=1)
        samples = np.moveaxis(windows, -1, 2).reshape(-1, frames * samples.shape[2])
    # As the program's preprocessing has it.
    return samples.astype(np.float32) * np.float32(rule.get("input_scale", 1.0))


def metric(task, rule, inputs, outputs):
    """The metric of all outputs."""
    labels = np.load(task / "eval_y.npy")
    if rule["metric"] == "top1":
        return float(np.mean(outputs.argmax(axis=1) == labels))
    errors = np.square(outputs - inputs.reshape(outputs.shape), dtype=np.float64)
    scores = errors.mean(axis=1).reshape(len(labels), -1).mean(axis=1)
    machines = np.load(task / "eval_machine.npy")
    of_machine = [machines == machine for machine in np.unique(machines)]
    return float(np.mean([roc_auc_score(labels[own], scores[own]) for own in of_machine]))


def main():
    export, task = map(pathlib.Path, sys.argv[1:])
    rule = tomllib.loads((task / "task.toml").read_text())
    (model,) = export.glob("*.onnx")
    inputs = raw_inputs(task, rule)
    samples = np.fromfile(export / "samples.bin", np.float32).reshape(len(inputs), -1)
    expected = samples[:, inputs[0].size :]
    of_program = metric(task, rule, inputs, expected)
    for name, level in LEVELS.items():
        options = onnxruntime.SessionOptions()
        options.graph_optimization_level = level
        options.log_severity_level = 3
        # Otherwise ONNX Runtime saturates sums of products at 16 bits on x86 cores without VNNI; it does not where the
        # file has operators on integers, which this option would mix up.
        if b"QLinear" not in model.read_bytes():
            options.add_session_config_entry("session.x64quantprecision", "1")
        session = onnxruntime.InferenceSession(
            str(model), options, providers=["CPUExecutionProvider"]
        )
        end = session.get_inputs()[0]
        shaped = inputs.reshape([-1] + end.shape[1:])
        batches = range(0, len(shaped), BATCH)
        found = [session.run(None, {end.name: shaped[at : at + BATCH]})[0] for at in batches]
        found = np.concatenate(found).reshape(len(inputs), -1)
        step = float(session.get_modelmeta().custom_metadata_map["burn-ptq-output-steps"])
        distance = np.rint(np.abs(found.astype(np.float64) - expected) / step)
        of_file = metric(task, rule, inputs, found)
        print(
            f"{name}: {len(inputs)} raw samples, {rule['metric']} {of_program:.4f} of the program, "
            f"{of_file:.4f} of the file; {np.count_nonzero(distance)} of {distance.size} outputs differ, "
            f"by at most {int(distance.max())} steps"
        )


if __name__ == "__main__":
    main()
