"""OpenVINO on the CPU, converted from PyTorch, float32 weights and float32 arithmetic."""
from pathlib import Path

from backends import torch_graph

PACKAGES = ["openvino", *"torch transformers safetensors".split()]
HEADS = ["encoder", "logits"]


def convert(model, head, target):
    import openvino
    import torch
    inputs = {name: ([-1, -1], openvino.Type.i64) for name in torch_graph.INPUTS}
    with torch.no_grad():
        graph = openvino.convert_model(torch_graph.traceable(model, head), input=inputs,
                                       example_input=dict(zip(torch_graph.INPUTS, torch_graph.example())))
    openvino.save_model(graph, str(Path(target) / "model.xml"), compress_to_fp16=False)


class Model:
    def __init__(self, folder, threads):
        import numpy
        import openvino
        settings = {
            "INFERENCE_PRECISION_HINT": "f32",  # or machines with AMX would compute in bfloat16
            "EXECUTION_MODE_HINT": "ACCURACY",
            "PERFORMANCE_HINT": "LATENCY",
            "NUM_STREAMS": 1,
            "INFERENCE_NUM_THREADS": threads,
        }
        self.ones = numpy.ones_like
        compiled = openvino.Core().compile_model(str(Path(folder) / "model.xml"), "CPU", settings)
        self.request = compiled.create_infer_request()

    def run(self, ids, mask):
        inputs = dict(zip(torch_graph.INPUTS, (ids, self.ones(ids) if mask is None else mask)))
        return self.request.infer(inputs, share_inputs=True, share_outputs=True)[0]


def load(folder, head, threads):
    return Model(folder, threads)
