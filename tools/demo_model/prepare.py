"""Gathers text for the demo model, trains its byte-level BPE and turns the text into ids.

    python prepare.py OUT_DIR SOURCE_DIR...

Reads the .py and .pod files and everything below a folder "doc" of each SOURCE_DIR. Writes to OUT_DIR:
    vocab.json, merges.txt   8,192 tokens: <s> 0, <pad> 1, </s> 2, <unk> 3, <mask> 8191
    ids.npy                  uint16, all documents one after the other
    starts.npy               int64, the positions of ids.npy at which a line begins
The model in models/demo saw 218 million characters, 66 million tokens. Needs numpy and tokenizers.
"""
import gzip
import hashlib
import random
import sys
from pathlib import Path

import numpy as np
from tokenizers import ByteLevelBPETokenizer

VOCAB_SIZE = 8192
MAX_FILE_BYTES = 400_000
DOCUMENTS_FOR_BPE = 6000


def is_wanted(path):
    return path.is_file() and (path.suffix in (".py", ".pod") or "doc" in path.parts[:-1])


def read_text(path):
    """The file's text; None for what is not text, too long, or hardly English (many non-ASCII characters)."""
    try:
        raw = gzip.open(path).read() if path.suffix == ".gz" else path.read_bytes()
        text = raw.decode("utf8")
    except (OSError, UnicodeDecodeError, EOFError):
        return None
    foreign = sum(ord(c) > 127 for c in text)
    if len(raw) > MAX_FILE_BYTES or "\0" in text or foreign > 0.02 * len(text) + 20:
        return None
    return text.expandtabs(4)


def gather(roots):
    """Every document once, in random order; two that begin alike count as one."""
    documents, seen = [], set()
    for root in roots:
        for path in sorted(Path(root).rglob("*")):
            text = read_text(path) if is_wanted(path) else None
            if text is None:
                continue
            key = hashlib.md5(text[:4000].encode()).digest()
            if key not in seen:
                seen.add(key)
                documents.append(text)
    random.shuffle(documents)
    return documents


def train_bpe(documents):
    bpe = ByteLevelBPETokenizer()
    sample = random.sample(documents, min(len(documents), DOCUMENTS_FOR_BPE))
    bpe.train_from_iterator(sample, vocab_size=VOCAB_SIZE - 1, min_frequency=2,
                            special_tokens=["<s>", "<pad>", "</s>", "<unk>"])
    bpe.add_special_tokens(["<mask>"])
    return bpe


def encode(bpe, text):
    """Ids, and the indices of the tokens that begin a line."""
    encoding = bpe.encode(text, add_special_tokens=False)
    begins = [0]
    for i in range(1, len(encoding.ids)):
        first = encoding.offsets[i][0]
        if text[first - 1:first] == "\n":
            begins.append(i)
    return np.array(encoding.ids, np.uint16), np.array(begins, np.int64)


def main():
    out, roots = Path(sys.argv[1]), sys.argv[2:]
    out.mkdir(parents=True, exist_ok=True)
    random.seed(11)
    documents = gather(roots)
    bpe = train_bpe(documents)
    bpe.save_model(str(out))
    all_ids, all_starts, total = [], [], 0
    for text in documents:
        ids, starts = encode(bpe, text)
        all_ids.append(ids)
        all_starts.append(starts + total)
        total += len(ids)
    np.save(out / "ids.npy", np.concatenate(all_ids))
    np.save(out / "starts.npy", np.concatenate(all_starts))
    print(len(documents), "documents,", total, "tokens")


if __name__ == "__main__":
    main()
