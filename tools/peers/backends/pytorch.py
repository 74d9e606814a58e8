"""PyTorch, eager, as transformers runs it (scaled dot product attention)."""
PACKAGES = ["torch", "transformers", "safetensors"]
HEADS = ["encoder", "logits"]
convert = None


def keep_float32(torch):
    """No bfloat16 or TF32 inside float32 products, on whichever version."""
    torch.set_float32_matmul_precision("highest")
    mkldnn = torch.backends.mkldnn
    for setting in (mkldnn, getattr(mkldnn, "matmul", None)):
        if hasattr(setting, "fp32_precision"):
            setting.fp32_precision = "ieee"


def load_transformers(folder, head, dtype, attention="sdpa"):
    """The module, and a callable (ids, mask) -> tensor of hidden states or logits."""
    from transformers import RobertaForMaskedLM, RobertaModel
    options = {"dtype": dtype, "attn_implementation": attention}
    if head == "logits":
        model = RobertaForMaskedLM.from_pretrained(folder, **options).eval()
        return model, lambda ids, mask: model(input_ids=ids, attention_mask=mask).logits
    model = RobertaModel.from_pretrained(folder, add_pooling_layer=False, **options).eval()
    return model, lambda ids, mask: model(input_ids=ids, attention_mask=mask).last_hidden_state


class Model:
    def __init__(self, folder, head, threads, dtype_name="float32"):
        import torch
        keep_float32(torch)
        torch.set_num_threads(threads)
        self.torch = torch
        _, self.compute = load_transformers(folder, head, getattr(torch, dtype_name))

    def run(self, ids, mask):
        torch = self.torch
        with torch.inference_mode():
            ids = torch.from_numpy(ids)
            mask = None if mask is None else torch.from_numpy(mask)
            return self.compute(ids, mask).numpy()


def load(folder, head, threads):
    return Model(folder, head, threads)
