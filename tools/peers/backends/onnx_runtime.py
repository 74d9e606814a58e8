"""ONNX Runtime's CPU provider with all graph optimisations, exported from PyTorch."""
from pathlib import Path

from backends import torch_graph

PACKAGES = ["onnxruntime", *"onnx onnxscript torch transformers safetensors".split()]
HEADS = ["encoder", "logits"]


def convert(model, head, target):
    import torch
    axes = {0: "rows", 1: "length"}
    graph = torch_graph.traceable(model, head, "eager")  # 10 % faster in ONNX Runtime than what "sdpa" unfolds to
    torch.onnx.export(graph, torch_graph.example(), str(Path(target) / "model.onnx"),
                      input_names=torch_graph.INPUTS, output_names=[torch_graph.OUTPUT], opset_version=17, dynamo=False,
                      dynamic_axes={name: axes for name in [*torch_graph.INPUTS, torch_graph.OUTPUT]})


class Model:
    def __init__(self, folder, threads):
        import numpy
        import onnxruntime
        options = onnxruntime.SessionOptions()
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        self.ones = numpy.ones_like
        self.session = onnxruntime.InferenceSession(str(Path(folder) / "model.onnx"), options,
                                                    providers=["CPUExecutionProvider"])

    def run(self, ids, mask):
        inputs = dict(zip(torch_graph.INPUTS, (ids, self.ones(ids) if mask is None else mask)))
        return self.session.run(None, inputs)[0]


def load(folder, head, threads):
    return Model(folder, threads)
