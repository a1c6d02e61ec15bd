"""The newest definitions that the installed onnx knows: lines of a name and a version.

`opset` and `ir_version` stand for the standard as a whole, the others for its operators.
"""

import onnx
from onnx import defs

print("opset", defs.onnx_opset_version())
print("ir_version", onnx.IR_VERSION)
for schema in defs.get_all_schemas():
    # Some are deprecated, and models have them nevertheless.
    if schema.domain == "":
        print(schema.name, schema.since_version)
