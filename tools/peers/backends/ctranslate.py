"""CTranslate2's Encoder in float32. It drops padding by itself, told the lengths; it has no masked-LM head."""
PACKAGES = ["ctranslate2", *"torch transformers safetensors".split()]
HEADS = ["encoder"]


def convert(model, head, target):
    from ctranslate2.converters import TransformersConverter

    class Converter(TransformersConverter):
        def load_model(self, model_class, path, **kwargs):
            return super().load_model(model_class, path, add_pooling_layer=False, **kwargs)

    Converter(str(model)).convert(str(target), quantization="float32", force=True)


class Model:
    def __init__(self, folder, threads):
        import ctranslate2
        import numpy
        self.numpy = numpy
        self.view = ctranslate2.StorageView.from_array
        self.encoder = ctranslate2.Encoder(str(folder), device="cpu", compute_type="float32", inter_threads=1,
                                           intra_threads=threads)

    def run(self, ids, mask):
        numpy = self.numpy
        lengths = numpy.full(len(ids), ids.shape[1]) if mask is None else mask.sum(axis=1)
        output = self.encoder.forward_batch(self.view(ids.astype(numpy.int32)), self.view(lengths.astype(numpy.int32)))
        return numpy.asarray(output.last_hidden_state)


def load(folder, head, threads):
    return Model(folder, threads)
