"""Writes a RoBERTa masked language model with random weights, of roberta-base's shape, as a Hugging Face folder.

    python make_model.py FOLDER

Every parameter is random, biases and layer norms too, so that none can be left out unseen. The vocabulary is made up
(the bytes' characters, then words that no text contains) because converters and oberta want one; all inputs are ids.
"""
import json
import sys
from pathlib import Path

import torch
from transformers import RobertaConfig, RobertaForMaskedLM

VOCAB_SIZE = 50265
DEVIATION = 0.02  # as transformers initialises weights


def byte_characters():
    """The 256 characters that stand for the bytes in a byte-level BPE."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [byte for byte in range(256) if byte not in printable]
    return [chr(byte) for byte in printable] + [chr(256 + i) for i in range(len(others))]


def write_tokenizer(folder):
    tokens = ["<s>", "<pad>", "</s>", "<unk>", *byte_characters()]
    tokens += [f"<word{i}>" for i in range(len(tokens), VOCAB_SIZE - 1)] + ["<mask>"]
    vocab = {token: i for i, token in enumerate(tokens)}
    (folder / "vocab.json").write_text(json.dumps(vocab, ensure_ascii=False), encoding="utf8")
    (folder / "merges.txt").write_text("#version: 0.2\n")


def create_model():
    torch.manual_seed(0)
    model = RobertaForMaskedLM(RobertaConfig(
        vocab_size=VOCAB_SIZE, max_position_embeddings=514, type_vocab_size=1, layer_norm_eps=1e-5,
        position_embedding_type="absolute", pad_token_id=1, bos_token_id=0, eos_token_id=2))
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.dim() == 1:
                parameter.add_(torch.randn_like(parameter), alpha=DEVIATION)
    return model.eval()


def main():
    folder = Path(sys.argv[1])
    create_model().save_pretrained(folder)
    write_tokenizer(folder)
    config = json.loads((folder / "config.json").read_text())
    config["position_embedding_type"] = "absolute"  # transformers 5 forgets it, converters ask for it
    (folder / "config.json").write_text(json.dumps(config, indent=2) + "\n")


if __name__ == "__main__":
    main()
