"""One module a peer. Each has

    PACKAGES                        what pip installs for it, its own distribution first
    HEADS                           which of "encoder" and "logits" it can compute
    convert(model, head, target)    writes what `load` reads into the empty folder `target`; model is a Hugging Face folder.
                                    None where `load` reads the Hugging Face folder itself
    load(folder, head, threads)     a model in float32 on the CPU, with
        .run(ids, mask)             int64 [rows, length] both; mask 1 for real tokens, None when nothing is padded.
                                    Returns numpy float32 [rows, length, hidden size or vocabulary size]

Imports of the packages stay inside the functions: the driver reads PACKAGES and HEADS without the virtual environment.
"""
import importlib

MODULES = {
    "openvino": "openvino_cpu",
    "onnxruntime": "onnx_runtime",
    "torch": "pytorch",
    "ctranslate2": "ctranslate",
    "reference": "reference",
}
PEERS = [name for name in MODULES if name != "reference"]


def get(peer):
    return importlib.import_module(f"backends.{MODULES[peer]}")
