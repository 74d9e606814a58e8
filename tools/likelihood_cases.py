"""Writes tests/data/pipelines/likelihood.json: pseudo-log-likelihoods of the model of tests/data/goldens/mlm12.

    python -m venv venv
    venv/bin/python -m pip install transformers torch numpy
    venv/bin/python tools/likelihood_cases.py

Every token but the special ones is masked in turn, and the logarithm of the softmax at its place is taken of the true token.
"""
import json
import pathlib

import torch
import transformers

DATA = pathlib.Path(__file__).resolve().parent.parent / "tests" / "data"
ROWS = [{"text": "I love China"}, {"text": ""}, {"text": "def f(x): return x * 2  # caf\u00e9 \U0001f600"},
        {"text": "Two  spaces and   three.", "text_pair": "a,b;c:d"}, {"text": "x"},
        {"text": "for i in range(10): print(i, end=' ') " * 3}]


@torch.no_grad()
def score(model, tokenizer, row):
    ids = torch.tensor(tokenizer(row["text"], row.get("text_pair"))["input_ids"])
    places = [i for i, token in enumerate(ids.tolist()) if token not in tokenizer.all_special_ids]
    scores = []
    for place in places:
        masked = ids.clone()
        masked[place] = tokenizer.mask_token_id
        logits = model(masked[None]).logits[0, place].double()
        scores.append(torch.log_softmax(logits, -1)[ids[place]].item())
    return {"score": sum(scores), "token_count": len(scores), "token_scores": scores,
            "tokens": tokenizer.convert_ids_to_tokens(ids[places].tolist())}


def main():
    folder = DATA / "goldens" / "mlm12" / "model"
    model = transformers.RobertaForMaskedLM.from_pretrained(folder, attn_implementation="eager").eval()
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    cases = [dict(row, result=score(model, tokenizer, row)) for row in ROWS]
    text = ",\n".join(json.dumps(case) for case in cases)
    (DATA / "pipelines" / "likelihood.json").write_text(
        f'{{"transformers": "{transformers.__version__}", "cases": [\n{text}\n]}}\n')


main()
