"""Runs float TensorFlow Lite models in LiteRT: oracle.py FOLDER OUT [SAMPLES]

For every FOLDER/NAME.tflite: OUT/NAME.x.npy with random samples, and OUT/NAME.yI.npy with output I of them, in
the order of the file's outputs.
"""

import pathlib
import sys

import numpy
from ai_edge_litert.interpreter import Interpreter


def main() -> None:
    folder, out = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2])
    samples = int(sys.argv[3]) if len(sys.argv) > 3 else 16
    for path in sorted(folder.glob("*.tflite")):
        interpreter = Interpreter(model_path=str(path))
        interpreter.allocate_tensors()
        (own,) = interpreter.get_input_details()
        outputs = interpreter.get_output_details()
        random = numpy.random.RandomState(1)
        inputs = random.normal(0, 1, [samples, *own["shape"][1:]]).astype(numpy.float32)
        numpy.save(out / f"{path.stem}.x.npy", inputs)
        found = [[] for _ in outputs]
        for sample in inputs:
            interpreter.reset_all_variables()
            interpreter.set_tensor(own["index"], sample[None])
            interpreter.invoke()
            for values, output in zip(found, outputs):
                values.append(interpreter.get_tensor(output["index"])[0])
        for place, values in enumerate(found):
            numpy.save(out / f"{path.stem}.y{place}.npy", numpy.array(values, numpy.float32))


if __name__ == "__main__":
    main()
