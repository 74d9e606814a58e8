"""Trains the demo model, a RoBERTa masked language model of 12 layers and hidden size 128, on prepare.py's output.

    python train.py DATA_DIR OUT_DIR MINUTES [--from FOLDER] [--rate R] [--masked SHARE] [--lengths N,N,...]

As RoBERTa does: tokens are masked anew for every batch (of the chosen ones 80 % become <mask>, 10 % a random token, 10 %
stay). Sequences begin at a line. AdamW, bfloat16 autocast; the rate rises over 400 steps and falls to zero by the
clock. models/demo came from
    train.py DATA FIRST 100
    train.py DATA DEMO 12 --from FIRST --rate 6e-4 --masked 0.13 --lengths 12,16,24,32,64,128
Prints loss and top-1 accuracy on held-out text at the end. Needs numpy, torch and transformers.
"""
import argparse
import time
from pathlib import Path

import numpy as np
import torch
from transformers import RobertaConfig, RobertaForMaskedLM

HIDDEN, VOCAB_SIZE, MASK = 128, 8192, 8191
BATCH_TOKENS = 4096
HELD_OUT_TOKENS = 1_000_000
LONGEST = 600  # no sequence may run past the end of its part


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("minutes", type=float)
    parser.add_argument("--from", dest="start", type=Path)
    parser.add_argument("--rate", type=float, default=1e-3)
    parser.add_argument("--masked", type=float, default=0.18)
    parser.add_argument("--lengths", default="16,32,64,128,64,32")
    return parser.parse_args()


def create_model(start):
    if start is not None:
        return RobertaForMaskedLM.from_pretrained(start, torch_dtype=torch.float32)
    model = RobertaForMaskedLM(RobertaConfig(
        vocab_size=VOCAB_SIZE, hidden_size=HIDDEN, num_hidden_layers=12, num_attention_heads=HIDDEN // 64,
        intermediate_size=4 * HIDDEN, max_position_embeddings=514, type_vocab_size=1, layer_norm_eps=1e-5,
        pad_token_id=1, bos_token_id=0, eos_token_id=2, hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0))
    for layer in model.roberta.encoder.layer:  # small branches let a deep post-norm stack start at this rate
        layer.attention.output.dense.weight.data.mul_(0.5)
        layer.output.dense.weight.data.mul_(0.5)
    return model


class Text:
    """Token ids and the places where a sequence may begin, the last million tokens held out."""

    def __init__(self, folder, masked, seed):
        self.ids = np.load(folder / "ids.npy")
        starts = np.load(folder / "starts.npy")
        starts = starts[starts < len(self.ids) - LONGEST]
        border = len(self.ids) - HELD_OUT_TOKENS
        self.train, self.held_out = starts[starts < border - LONGEST], starts[starts >= border]
        self.masked = masked
        self.rng = np.random.default_rng(seed)

    def batch(self, starts, length):
        """ids (rows, length) with masked tokens, the flat positions of those, and what stood there."""
        first = self.rng.choice(starts, BATCH_TOKENS // length)
        ids = np.empty((len(first), length), np.int64)
        ids[:, 0], ids[:, -1] = 0, 2
        for row, start in enumerate(first):
            ids[row, 1:-1] = self.ids[start:start + length - 2]
        chosen = self.rng.random(ids.shape) < self.masked
        chosen[:, 0] = chosen[:, -1] = False
        label = ids[chosen].copy()
        draw, replaced = self.rng.random(len(label)), label.copy()
        replaced[draw < 0.8] = MASK
        swap = (draw >= 0.8) & (draw < 0.9)
        replaced[swap] = self.rng.integers(4, VOCAB_SIZE - 1, swap.sum())
        ids[chosen] = replaced
        return torch.from_numpy(ids), torch.from_numpy(np.flatnonzero(chosen)), torch.from_numpy(label)


def forward(model, ids, where, label):
    """The head runs on the masked positions only."""
    with torch.autocast("cpu", dtype=torch.bfloat16):
        hidden = model.roberta(input_ids=ids).last_hidden_state.reshape(-1, HIDDEN)[where]
        logits = model.lm_head(hidden)
    return torch.nn.functional.cross_entropy(logits.float(), label), logits


def train(model, text, lengths, rate, minutes):
    optimizer = torch.optim.AdamW(model.parameters(), lr=rate, betas=(0.9, 0.98), weight_decay=0.01, eps=1e-6)
    model.train()
    begin, step = time.time(), 0
    while (share := (time.time() - begin) / (minutes * 60)) < 1:
        warm_up, fall = min(1, step / 400 + 1e-3), min(1, (1 - share) / 0.9) if share > 0.1 else 1
        for group in optimizer.param_groups:
            group["lr"] = rate * warm_up * fall
        loss, _ = forward(model, *text.batch(text.train, lengths[step % len(lengths)]))
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        step += 1
        if step % 100 == 0:
            print(step, f"{time.time() - begin:.0f} s", f"loss {loss.item():.3f}", flush=True)


def evaluate(model, text, lengths):
    model.eval()
    losses, right, count = [], 0, 0
    with torch.inference_mode():
        for i in range(30):
            ids, where, label = text.batch(text.held_out, lengths[i % len(lengths)])
            loss, logits = forward(model, ids, where, label)
            losses.append(loss.item())
            right += (logits.argmax(-1) == label).sum().item()
            count += len(label)
    print(f"held-out loss {np.mean(losses):.3f}, top-1 {right / count:.3f}")


def main():
    arguments = parse_arguments()
    lengths = [int(length) for length in arguments.lengths.split(",")]
    torch.manual_seed(5)
    model = create_model(arguments.start)
    text = Text(arguments.data, arguments.masked, seed=5)
    train(model, text, lengths, arguments.rate, arguments.minutes)
    evaluate(model, text, lengths)
    model.to(torch.float16).save_pretrained(arguments.out)


if __name__ == "__main__":
    main()
