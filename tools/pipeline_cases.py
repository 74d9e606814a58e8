"""Writes tests/data/pipelines: what the transformers pipelines for token-classification and question-answering give.

    python -m venv venv
    venv/bin/python -m pip install transformers==4.57.3 tokenizers==0.22.2 torch==2.6.0 numpy==2.2.6
    venv/bin/python tools/pipeline_cases.py

`answers.json` and `entities.json` are about the rules alone: the model's place is taken by pseudo-random logits (logits
below; the tests draw the same numbers), so that any tokenizer and any length can stand there. `qa.json` and
`tokcls.json` are whole runs of the models of tests/data/goldens. Scores closer than 1e-5 have no order in float32:
the seed of such a case goes up until there are none. Answers of score 0 are left out, for the pipeline fills its list with
spans that end before they begin.
"""
import json
import logging
import pathlib
import warnings

import numpy as np
import torch
import transformers
from transformers import RobertaConfig, RobertaForQuestionAnswering, RobertaForTokenClassification, RobertaTokenizerFast
from transformers.pipelines import QuestionAnsweringPipeline, TokenClassificationPipeline

DATA = pathlib.Path(__file__).resolve().parent.parent / "tests" / "data"
LABELS = ["O", "B-PER", "I-PER", "B-LOC", "I-LOC", "MISC", "B-A-B", "A-B"]
WORDS = ("The quick brown fox jumps over the lazy dog. In 1871, Zo\u00eb met M\u00fcller at the caf\u00e9; d\u00e9j\u00e0 vu! "
         "\u041f\u0440\u0438\u0432\u0435\u0442, \u043c\u0438\u0440! \u6211\u7231\u5317\u4eac. def f(x): return x * 2 "
         "isn't it's YOU'LL \U0001f600 \U0001f469\u200d\U0001f4bb \u0130stanbul \u00c9t\u00e9 \u00e9t\u00e9 \u00c9T\u00c9 "
         "\u041c\u0438\u0440 \u043c\u0438\u0440 Paris paris PARIS").split()


class Numbers:
    """A linear congruential generator of exact floats."""

    def __init__(self, seed):
        self.state = seed

    def next(self):
        self.state = (self.state * 1664525 + 1013904223) % 2**32
        return self.state >> 8

    def logits(self, rows, columns, scale):
        values = [(self.next() / 2**24 - 0.5) * scale for _ in range(rows * columns)]
        return torch.tensor(values, dtype=torch.float32).reshape(1, rows, columns)


def text_of(numbers, count):
    words = [WORDS[numbers.next() % len(WORDS)] for _ in range(count)]
    spaces = [" "] * 8 + ["  ", "\n"]
    return "".join(w + spaces[numbers.next() % 10] for w in words).rstrip() if count else ""


def tokenizer_of(folder, max_length=None):
    out = RobertaTokenizerFast.from_pretrained(DATA / folder)
    out.model_max_length = max_length or int(1e30)
    return out


def fake(kind, tokenizer, labels=2):
    config = RobertaConfig(vocab_size=4, hidden_size=4, num_hidden_layers=1, num_attention_heads=1, intermediate_size=4,
                           id2label=dict(enumerate(LABELS[:labels])))
    model = RobertaForQuestionAnswering if kind is QuestionAnsweringPipeline else RobertaForTokenClassification
    return kind(model=model(config), tokenizer=tokenizer, device=-1)


def ordered(answers):
    scores = [a["score"] for a in answers if a["score"] > 0]
    return all(a - b > 1e-5 * a for a, b in zip(scores, scores[1:]))


def answer_case(folder, question, context, options, seed, scale):
    """The pipeline of one more answer than is asked for says whether the last one's place is certain."""
    pipe = fake(QuestionAnsweringPipeline, tokenizer_of(folder))
    lengths = []

    def forward(inputs):
        count = inputs["input_ids"].shape[1]
        lengths.append(count)
        logits = numbers.logits(count, 2, scale)
        return {"start": logits[:, :, 0], "end": logits[:, :, 1], **inputs}

    pipe._forward = forward
    for seed in range(seed, seed + 100):
        numbers = Numbers(seed)
        lengths.clear()
        result = pipe(question=question, context=context, **options)
        result = [a for a in (result if isinstance(result, list) else [result]) if a["score"] > 0]
        numbers = Numbers(seed)
        more = pipe(question=question, context=context, **dict(options, top_k=options.get("top_k", 1) + 1))
        if ordered(more if isinstance(more, list) else [more]):
            break
    else:
        raise SystemExit(f"no order: {question}")
    return {"folder": folder, "question": question, "context": context, "options": options, "seed": seed, "scale": scale,
            "lengths": lengths[:len(lengths) // 2], "result": result}


def entity_case(folder, text, options, max_length, labels, seed, scale):
    pipe = fake(TokenClassificationPipeline, tokenizer_of(folder, max_length), labels)
    numbers, lengths = Numbers(seed), []

    def forward(inputs):
        count = int(inputs["attention_mask"].sum())
        lengths.append(count)
        padding = torch.zeros(1, inputs["input_ids"].shape[1] - count, labels)
        inputs["logits"] = torch.cat([numbers.logits(count, labels, scale), padding], 1)
        return {"offset_mapping": None, **inputs}

    pipe._forward = forward
    return {"folder": folder, "text": text, "options": options, "max_length": max_length or 0, "labels": labels,
            "seed": seed, "scale": scale, "lengths": lengths, "result": rows(pipe(text, **options))}


def rows(result):
    """Entities as short lists, [label, score, word, start, end], with the index in front where there is one."""
    return [[*([e["index"]] if "index" in e else []), e.get("entity") or e["entity_group"], round(float(e["score"]), 6),
             e["word"], e["start"], e["end"]] for e in result]


def answers():
    numbers, cases, k = Numbers(1), [], 0
    folders = ["tokenizer/vocab_merges", "tokenizer/prefix_space", "goldens/qa/model"]
    variants = [{}, {"top_k": 5}, {"top_k": 3, "handle_impossible_answer": True}, {"align_to_words": False},
                {"top_k": 4, "align_to_words": False}, {"top_k": 2, "max_answer_len": 1}, {"top_k": 3, "max_answer_len": 40}]
    for length in (1, 2, 7, 40, 150):
        for options in variants:
            k += 1
            options = dict(options)
            if length > 10:
                options.update(max_seq_len=[48, 64, 96][k % 3], doc_stride=[0, 7, 20][k // 3 % 3])
            cases.append(answer_case(folders[k % 3], text_of(numbers, 3), text_of(numbers, length), options, 100 * k,
                                     [4, 12, 24][k % 3]))
    # Specials that are written out, a context of white space, one that equals a window and one that is a token longer.
    texts = [("who <s> is?", "Paris <s> met PARIS in <mask>, paris </s> <unk>."), ("a <s> b <s>", "one two three four"), ("who?", "   "),
             ("\u041c\u0438\u0440?", "\u041c\u0438\u0440 \u043c\u0438\u0440 \u041c\u0418\u0420 \u0130 \u0130 i\u0307 \u039f\u0394\u039f\u03a3 \u03bf\u03b4\u03bf\u03c2")]
    for question, context in texts:
        for options in ({"top_k": 6, "handle_impossible_answer": True}, {"top_k": 6, "max_answer_len": 3}, {}):
            k += 1
            cases.append(answer_case(folders[k % 3], question, context, options, 100 * k, 8))
    tokenizer = tokenizer_of(folders[0])
    question, context = "Who met the fox?", text_of(numbers, 30)
    full = len(tokenizer(question, context)["input_ids"])
    for max_seq_len in (full + 1, full, full - 1, full - 5):
        k += 1
        cases.append(answer_case(folders[0], question, context,
                                 {"top_k": 3, "max_seq_len": max_seq_len, "doc_stride": 5}, 100 * k, 12))
    return cases


def entities():
    numbers, cases, k = Numbers(2), [], 0
    folders = ["tokenizer/vocab_merges", "tokenizer/prefix_space", "goldens/tokcls/model"]
    texts = ["", " ", "caf\u00e9 cr\u00e8me", "\u00c9T\u00c9,\u00e9t\u00e9 na\u00efve", "x <unk> y<unk>z <mask> <s>", "\u00a0a\u00a0b", "\u00ff\u0100 \u0120x"]
    for length in (1, 3, 8, 25):
        texts += [text_of(numbers, length)]
    for text in texts:
        for strategy in ("none", "simple", "first", "average", "max"):
            k += 1
            options = {"aggregation_strategy": strategy}
            if k % 4 == 0:
                options["ignore_labels"] = [["PER", "B-PER"], [], ["MISC", "O"]][k // 4 % 3]
            cases.append(entity_case(folders[k % 3], text, options, None, [2, 5, 8][k % 3], k, [4, 12][k % 2]))
    for length in (10, 25, 60):
        for strategy in ("simple", "first", "average", "max"):
            for stride in (1, 6, 17):
                k += 1
                options = {"aggregation_strategy": strategy, "stride": stride}
                cases.append(entity_case(folders[k % 3], text_of(numbers, length), options, 20 + 7 * (k % 4), 5 + k % 4, k, 12))
    # An entity without width at the very beginning.
    cases.append(entity_case(folders[0], "  " + text_of(numbers, 20), {"aggregation_strategy": "simple", "stride": 4}, 24, 8, 5, 12))
    return cases


def loaded(kind, model, name, max_length):
    tokenizer = tokenizer_of(f"goldens/{name}/model", max_length)
    return kind(model=model.from_pretrained(DATA / "goldens" / name / "model"), tokenizer=tokenizer, device=-1)


def qa():
    pipe = loaded(QuestionAnsweringPipeline, RobertaForQuestionAnswering, "qa", 64)
    numbers, cases = Numbers(3), []
    for length in (1, 4, 8, 30, 60):
        for options in ({}, {"top_k": 3}, {"top_k": 3, "handle_impossible_answer": True},
                        {"align_to_words": False, "top_k": 2, "max_answer_len": 4}, {"max_seq_len": 40, "doc_stride": 6}):
            question, context = text_of(numbers, 2), text_of(numbers, length)
            try:
                result = pipe(question=question, context=context, **options)
            except BaseException as error:  # the tokenizer panics where the stride leaves no room
                cases.append({"question": question, "context": context, "options": options, "error": str(error)})
                continue
            more = pipe(question=question, context=context, **dict(options, top_k=options.get("top_k", 1) + 1))
            result, more = ([a] if isinstance(a, dict) else a for a in (result, more))
            if ordered(more):
                cases.append({"question": question, "context": context, "options": options,
                              "result": [a for a in result if a["score"] > 0]})
    return cases


def tokcls():
    pipe = loaded(TokenClassificationPipeline, RobertaForTokenClassification, "tokcls", 64)
    numbers, cases = Numbers(4), []
    for length in (5, 30):
        for stride in (0, 3, 20):
            for strategy in ("none", "simple", "first", "average", "max"):
                if stride and strategy == "none":
                    continue
                text = text_of(numbers, length)
                options = {"aggregation_strategy": strategy, **({"stride": stride} if stride else {})}
                cases.append({"text": text, "options": options, "result": rows(pipe(text, **options))})
    return cases


def main():
    warnings.simplefilter("ignore")
    logging.disable(logging.WARNING)
    for name, make in (("answers", answers), ("entities", entities), ("qa", qa), ("tokcls", tokcls)):
        cases = make()
        lines = ",\n".join(json.dumps(case, separators=(",", ":")) for case in cases)
        path = DATA / "pipelines" / f"{name}.json"
        path.write_text(f'{{"transformers": "{transformers.__version__}", "cases": [\n{lines}\n]}}\n')
        print(path.name, len(cases), "cases", sum("error" in c for c in cases), "errors", path.stat().st_size, "bytes")


main()
