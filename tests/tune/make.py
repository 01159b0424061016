#!/usr/bin/python3
"""Makes the small files beside it (python3-numpy, python3-onnx): two networks, a data set, casebooks for tune_test.sh."""
import os
import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

os.chdir(os.path.dirname(os.path.abspath(__file__)))
rng = np.random.default_rng(1)


def save(name, nodes, arrays, classes):
    graph = helper.make_graph(
        nodes, name,
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", 1, 4, 4])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["N", classes])],
        [numpy_helper.from_array(a.astype(np.float32), k) for k, a in arrays.items()])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], producer_name="ohmtrim tests")
    onnx.checker.check_model(model)
    onnx.save(model, name + ".onnx")


c, d = rng.normal(size=(6, 1, 3, 3)), rng.normal(size=(3, 96))
save("tiny", [helper.make_node("Conv", ["x", "c"], ["h"], name="conv", pads=[1, 1, 1, 1]),
              helper.make_node("BatchNormalization", ["h", "g", "b", "m", "v"], ["n"], name="bn"),
              helper.make_node("Relu", ["n"], ["r"], name="relu"),
              helper.make_node("Flatten", ["r"], ["f"], name="flat"),
              helper.make_node("Gemm", ["f", "d"], ["y"], name="fc", transB=1)],
     {"c": c, "d": d, "g": np.ones(6), "b": np.zeros(6), "m": np.zeros(6), "v": np.ones(6)}, 3)
save("linear", [helper.make_node("Flatten", ["x"], ["f"], name="flat"),
                helper.make_node("Gemm", ["f", "d"], ["y"], name="fc", transB=1)], {"d": rng.normal(size=(3, 16))}, 3)


def forward(x):
    x = np.pad(x / 255.0, ((0, 0), (1, 1), (1, 1)))
    h = sum(x[:, None, i:i + 4, j:j + 4] * c[None, :, 0, i, j, None, None] for i in range(3) for j in range(3)) / np.sqrt(1 + 1e-5)
    return np.maximum(h, 0).reshape(len(x), -1) @ d.T


sets = {}
for split, n in (("train", 60), ("test", 30)):
    x = rng.integers(0, 256, size=(n, 4, 4))
    sets["x_" + split] = x[:, None].astype(np.uint8)
    sets["y_" + split] = forward(x).argmax(1).astype(np.int64)
np.savez_compressed("tiny.npz", **sets)
n, k = 5, 2
book = {"signature": rng.normal(size=(n, k * 4)).astype(np.float32), "gain": (1 + 0.1 * rng.random((n, 1))).astype(np.float32),
        "offset": (0.1 * rng.random((n, 1))).astype(np.float32), "stimulus": np.array([3, 17])}
np.savez_compressed("book.npz", **book)
np.savez_compressed("book-two-knobs.npz", **{**book, "gain": np.ones((n, 2), np.float32), "offset": np.zeros((n, 2), np.float32)})
np.savez_compressed("book-length.npz", **{**book, "stimulus": np.array([3, 17, 5])})
np.savez_compressed("book-far.npz", **{**book, "stimulus": np.array([3, 30])})
np.savez_compressed("book-nan.npz", **{**book, "signature": book["signature"] * np.where(np.arange(8) == 3, np.nan, 1).astype(np.float32)})
np.savez_compressed("book-no-offset.npz", **{a: book[a] for a in ("signature", "gain", "stimulus")})
