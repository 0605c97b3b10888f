"""Small ONNX models made on the spot: what they see is known, so that no weights are needed."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from onnx import ModelProto, NodeProto, TensorProto, checker, helper, numpy_helper

Array = npt.NDArray[np.floating]
OPSET = 11


def constant_model(side: int, *outputs: Array) -> bytes:
    """Gives the same outputs whatever the picture is."""
    zero = [
        helper.make_node("GlobalAveragePool", ["picture"], ["mean"]),
        helper.make_node("Conv", ["mean", "nothing"], ["zero"]),
    ]
    constants = [_tensor("nothing", np.zeros((1, 3, 1, 1)))]
    for number, output in enumerate(outputs):
        shape, value = f"shape{number}", f"value{number}"
        constants += [_tensor(value, output), _indices(shape, [1] * output.ndim)]
        zero += [
            helper.make_node("Reshape", ["zero", shape], [f"zero{number}"]),
            helper.make_node("Add", [f"zero{number}", value], [f"output{number}"]),
        ]
    shapes = {f"output{number}": output.shape for number, output in enumerate(outputs)}
    return _build(zero, constants, side, shapes)


QUARTERS = np.array([[x, y, x + 0.5, y + 0.5] for y in (0, 0.5) for x in (0, 0.5)])


def bright_quarters_model(side: int) -> bytes:
    """An SSD of two classes: sees a 1 in each quarter of the picture that is bright."""
    steps = [
        helper.make_node(
            "AveragePool",
            ["picture"],
            ["means"],
            kernel_shape=[side // 2] * 2,
            strides=[side // 2] * 2,
        ),
        helper.make_node("Conv", ["means", "sum"], ["light"]),
        helper.make_node("Sigmoid", ["light"], ["both"]),  # (1, 2, 2, 2): dark, bright
        helper.make_node("Reshape", ["both", "by_class"], ["by_quarter"]),
        helper.make_node("Transpose", ["by_quarter"], ["scores"], perm=[0, 2, 1]),
        helper.make_node("ReduceMean", ["scores"], ["mean"], axes=[1, 2], keepdims=1),
        helper.make_node("Mul", ["mean", "nothing"], ["zero"]),
        helper.make_node("Add", ["zero", "quarters"], ["boxes"]),
    ]
    constants = [
        _tensor("sum", np.concatenate([np.full((1, 3, 1, 1), -9), np.full((1, 3, 1, 1), 9)])),
        _indices("by_class", [1, 2, 4]),
        _tensor("nothing", np.zeros((1, 1, 1))),
        _tensor("quarters", QUARTERS[None]),
    ]
    return _build(steps, constants, side, {"scores": (1, 4, 2), "boxes": (1, 4, 4)})


def _build(
    steps: Sequence[NodeProto],
    constants: Sequence[TensorProto],
    side: int,
    outputs: dict[str, tuple[int, ...]],
) -> bytes:
    picture = helper.make_tensor_value_info("picture", TensorProto.FLOAT, (1, 3, side, side))
    given = [helper.make_tensor_value_info(n, TensorProto.FLOAT, s) for n, s in outputs.items()]
    graph = helper.make_graph(steps, "model", [picture], given, constants)
    model: ModelProto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)])
    model.ir_version = 8
    checker.check_model(model)
    return bytes(model.SerializeToString())


def _tensor(name: str, values: Array) -> TensorProto:
    return numpy_helper.from_array(values.astype(np.float32), name)


def _indices(name: str, values: Sequence[int]) -> TensorProto:
    return numpy_helper.from_array(np.array(values, np.int64), name)
