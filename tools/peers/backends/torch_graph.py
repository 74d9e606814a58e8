"""The model as a graph with the inputs input_ids and attention_mask and one output, for those who convert it."""
INPUTS = ["input_ids", "attention_mask"]
OUTPUT = "output"


def traceable(folder, head, attention="sdpa"):
    """A module (input_ids, attention_mask) -> tensor; attention "sdpa" is one node, "eager" the products it consists of."""
    import torch
    from backends.pytorch import load_transformers

    class Graph(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.model, self.compute = load_transformers(folder, head, torch.float32, attention)

        def forward(self, input_ids, attention_mask):
            return self.compute(input_ids, attention_mask)

    return Graph().eval()


def example():
    """Input tensors that leave nothing to be folded away: two rows, one of them padded."""
    import torch
    ids = torch.arange(4, 22).reshape(2, 9)
    mask = torch.ones_like(ids)
    ids[1, 5:], mask[1, 5:] = 1, 0
    return ids, mask
