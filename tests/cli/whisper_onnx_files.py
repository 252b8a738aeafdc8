"""What test_whisper_onnx.py makes with onnx and onnxruntime.

whisper_onnx_files.py FROM TO

Of FROM's float files (tiny-encoder.onnx, tiny-decoder.onnx, tiny-tokens.txt): TO/int8 with quantised ones, TO/floats with float ones that
have their values, and TO/beside with the first ones and their weights in files beside them.
"""

import pathlib
import shutil
import sys

import numpy as np
import onnx
from onnx import numpy_helper
from onnxruntime.quantization import QuantType, quantize_dynamic

SUFFIX = "_quantized"


def dequantised(plain: onnx.ModelProto, quantised: onnx.ModelProto) -> onnx.ModelProto:
    """The float graph with the values that the quantised one has."""
    stored = {t.name: numpy_helper.to_array(t) for t in quantised.graph.initializer}
    for tensor in plain.graph.initializer:
        bytes_ = stored.get(tensor.name + SUFFIX)
        if bytes_ is not None:
            assert not stored[tensor.name + "_zero_point"].any()
            values = bytes_.astype(np.float32) * np.float32(stored[tensor.name + "_scale"])
            tensor.CopyFrom(numpy_helper.from_array(values, tensor.name))
    return plain


def main() -> None:
    source, out = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2])
    for kind in ("int8", "floats", "beside"):
        (out / kind).mkdir(parents=True)
        shutil.copy(source / "tiny-tokens.txt", out / kind)
    for side in ("encoder", "decoder"):
        plain, narrow = source / f"tiny-{side}.onnx", out / "int8" / f"tiny-{side}.int8.onnx"
        quantize_dynamic(plain, narrow, op_types_to_quantize=["MatMul"], weight_type=QuantType.QInt8)
        onnx.save(dequantised(onnx.load(plain), onnx.load(narrow)), out / "floats" / f"tiny-{side}.onnx")
        onnx.save(onnx.load(plain), out / "beside" / f"tiny-{side}.onnx", save_as_external_data=True, location=f"tiny-{side}.weights")


main()
