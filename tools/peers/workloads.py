"""The workloads that oberta and every peer are given. Standard library only.

A workload is a list of batches, a batch a list of rows (row number, length in tokens). Every participant makes the token
ids by the same rule, so nothing but the model's folder has to be handed over.
"""
import math
import re
from dataclasses import dataclass

PAD_ID = 1  # RoBERTa's <pad>; real ids start at 4
FIRST_ID = 4

MIXED_ROWS = 256
MIXED_BATCH = 32
MIXED_SEED = 20240229
LOG_MEAN, LOG_DEVIATION = 3.6, 0.8
SHORTEST, LONGEST = 6, 512


def token_id(row, position, vocab_size):
    return (row * 7919 + position * 104729) % (vocab_size - FIRST_ID) + FIRST_ID


def masked_position(length):
    """Where fill-mask puts the one mask of a row."""
    return length // 2


def uniforms(seed):
    """Numbers inside (0, 1): Knuth's 64-bit linear congruence, its upper 53 bits. As easy in C as here."""
    state = seed
    while True:
        state = (state * 6364136223846793005 + 1442695040888963407) % 2**64
        yield ((state >> 11) + 0.5) / 2**53


def mixed_lengths():
    """Lengths in tokens of 256 texts: exp(N(3.6, 0.8)) cut to 6..512, the normal numbers by Box and Muller's cosine."""
    numbers = uniforms(MIXED_SEED)
    lengths = []
    for _ in range(MIXED_ROWS):
        u, v = next(numbers), next(numbers)
        normal = math.sqrt(-2 * math.log(u)) * math.cos(2 * math.pi * v)
        lengths.append(min(max(int(math.exp(LOG_MEAN + LOG_DEVIATION * normal)), SHORTEST), LONGEST))
    return lengths


def batches(workload):
    """'32x128' (rows x tokens), 'mixed' (batches of 32 in arrival order) or 'mixed-sorted' (by length first)."""
    shape = re.fullmatch(r"(\d+)x(\d+)", workload)
    if shape:
        rows, length = map(int, shape.groups())
        return [[(row, length) for row in range(rows)]]
    if workload not in ("mixed", "mixed-sorted"):
        raise ValueError(f"no workload '{workload}'")
    rows = list(enumerate(mixed_lengths()))
    if workload == "mixed-sorted":
        rows.sort(key=lambda row: row[1])
    return [rows[at:at + MIXED_BATCH] for at in range(0, len(rows), MIXED_BATCH)]


def count_tokens(some_batches):
    """Real tokens, without padding."""
    return sum(length for batch in some_batches for _, length in batch)


@dataclass(frozen=True)
class Measure:
    """One line of the table: what is run and which figure of the answer counts."""
    name: str
    workload: str
    head: str  # encoder, fill-mask or logits
    figure: str  # a key of what a participant's `measure` returns
    unit: str
    higher_is_better: bool
    once: bool = False  # a process that loads, runs once and ends


MEASURES = [
    Measure("32x128", "32x128", "encoder", "tokens_per_s", "tokens/s", True),
    Measure("1x16", "1x16", "encoder", "p50_ms", "ms", False),
    Measure("1x128", "1x128", "encoder", "p50_ms", "ms", False),
    Measure("1x512", "1x512", "encoder", "p50_ms", "ms", False),
    Measure("mixed", "mixed", "encoder", "tokens_per_s", "tokens/s", True),
    Measure("mixed-sorted", "mixed-sorted", "encoder", "tokens_per_s", "tokens/s", True),
    Measure("fill-mask", "32x128", "fill-mask", "tokens_per_s", "tokens/s", True),
    Measure("logits", "32x128", "logits", "tokens_per_s", "tokens/s", True),
    Measure("start", "1x16", "encoder", "first_answer_s", "s", False, once=True),
    Measure("memory", "32x128", "encoder", "peak_mib", "MiB", False, once=True),
]

# (workload, head) of the answers that are compared; of mixed the first batch, which is the one with padding.
CHECKS = [("1x16", "encoder"), ("32x128", "encoder"), ("mixed", "encoder"), ("32x128", "fill-mask")]
