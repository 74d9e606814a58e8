"""One peer, one workload, one process. Runs inside the virtual environment and prints one line of JSON.

    python worker.py convert PEER HEAD MODEL TARGET
    python worker.py measure PEER HEAD FOLDER WORKLOAD THREADS SECONDS
    python worker.py once    PEER HEAD FOLDER WORKLOAD THREADS
    python worker.py dump    PEER HEAD FOLDER WORKLOAD THREADS FILE.safetensors
"""
import json
import statistics
import sys
import time

import backends
import workloads

MIN_PASSES = 3  # unless they take more than three times the seconds asked for


def pad(batch, vocab_size, mask_id=None):
    """int64 ids and mask [rows, longest] of a batch; the mask is None when nothing is padded."""
    import numpy
    longest = max(length for _, length in batch)
    ids = numpy.full((len(batch), longest), workloads.PAD_ID, numpy.int64)
    mask = numpy.zeros_like(ids)
    for at, (row, length) in enumerate(batch):
        ids[at, :length] = [workloads.token_id(row, position, vocab_size) for position in range(length)]
        mask[at, :length] = 1
        if mask_id is not None:
            ids[at, workloads.masked_position(length)] = mask_id
    return ids, None if mask.all() else mask


def make_inputs(batches, head, folder):
    """Arrays for every batch; fill-mask and logits get one mask a row, the last id of the vocabulary as in RoBERTa."""
    with open(f"{folder}/config.json") as file:
        vocab_size = json.load(file)["vocab_size"]
    return [pad(batch, vocab_size, None if head == "encoder" else vocab_size - 1) for batch in batches]


def graph_head(head):
    """The output a model is loaded for: fill-mask is a look at the logits."""
    return "encoder" if head == "encoder" else "logits"


def best_five(output, batch):
    """Ids of the five best tokens of every row's masked position."""
    import numpy
    masked = numpy.stack([output[at][workloads.masked_position(length)] for at, (_, length) in enumerate(batch)])
    candidates = numpy.argpartition(masked, -5, axis=1)[:, -5:]
    order = numpy.argsort(-numpy.take_along_axis(masked, candidates, axis=1), axis=1)
    return numpy.take_along_axis(candidates, order, axis=1)


class Job:
    def __init__(self, peer, head, folder, converted, workload, threads):
        self.head = head
        self.batches = workloads.batches(workload)
        self.inputs = make_inputs(self.batches, head, folder)
        start = time.perf_counter()
        self.model = backends.get(peer).load(converted, graph_head(head), threads)
        self.load_ms = (time.perf_counter() - start) * 1e3

    def run_batch(self, at):
        output = self.model.run(*self.inputs[at])
        return best_five(output, self.batches[at]) if self.head == "fill-mask" else output

    def time_pass(self):
        """Seconds for every batch, one after the other."""
        start = time.perf_counter()
        for at in range(len(self.batches)):
            self.run_batch(at)
        return time.perf_counter() - start


def measure(job, seconds):
    """One pass to warm up, then passes for that many seconds, and some more if they were few."""
    first, times = job.time_pass(), []
    while sum(times) < seconds or (len(times) < MIN_PASSES and sum(times) < 3 * seconds):
        times.append(job.time_pass())
    tokens, middle = workloads.count_tokens(job.batches), statistics.median(times)
    return {"tokens_per_s": tokens / middle, "p50_ms": middle * 1e3, "first_run_ms": first * 1e3,
            "load_ms": job.load_ms, "passes": len(times)}


def dump(job, path):
    """Writes the first batch: hidden states of real tokens, or the masked position's logits, a tensor a row."""
    import numpy
    from safetensors.numpy import save_file
    output, tensors = job.model.run(*job.inputs[0]), {}
    for at, (row, length) in enumerate(job.batches[0]):
        if job.head == "encoder":
            tensors[f"last_hidden_state.{row}"] = numpy.ascontiguousarray(output[at][:length])
        else:
            tensors[f"logits.{row}"] = numpy.ascontiguousarray(output[at][workloads.masked_position(length)])
    save_file(tensors, path)
    return {"rows": len(tensors)}


def main():
    action, peer, head, folder, target = sys.argv[1:6]
    if action == "convert":
        backends.get(peer).convert(folder, head, target)
        answer = {}
    else:
        converted, (workload, threads) = target, sys.argv[6:8]
        job = Job(peer, head, folder, converted, workload, int(threads))
        if action == "once":
            job.run_batch(0)
            answer = {}
        elif action == "measure":
            answer = measure(job, float(sys.argv[8]))
        else:
            answer = dump(job, sys.argv[8])
    print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
