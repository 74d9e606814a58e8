"""oberta and the peers as the driver sees them: the same three methods. Standard library only."""
import json
import shutil
from pathlib import Path

import backends
import processes
import workloads

HERE = Path(__file__).resolve().parent


class Oberta:
    """`oberta bench`. It does not pad, so the order of the texts is its own affair: 'mixed-sorted' is 'mixed'."""
    name = "oberta"

    def __init__(self, program, device, model, out, lock):
        self.program, self.device, self.model, self.out, self.lock = program, device, model, out, lock
        self.report = None  # device, model and roof as the last run told them

    def prepare(self, head):
        if not Path(self.program).exists():
            raise processes.Failed(f"no program at {self.program}")

    def bench(self, workload, head, *options):
        command = [self.program, "bench", "--model", self.model, "--workload", workload, "--head", head,
                   "--device", self.device, "--json", *options]
        return processes.run(command, self.out / "logs" / f"oberta-{workload}-{head}.log", lock=self.lock)

    def measure(self, measure, seconds):
        workload = "mixed" if measure.workload == "mixed-sorted" else measure.workload
        answer = self.bench(workload, measure.head, *(["--once"] if measure.once else []))
        if not measure.once:
            self.report = answer
        result = (answer.get("results") or [{}])[0]
        if not measure.once and result.get("verified") is False:
            raise processes.Failed("oberta's own check of the results failed")
        figures = {"tokens_per_s": result.get("tokens_per_s"), "p50_ms": (result.get("latency_ms") or {}).get("p50")}
        return {**figures, **{key: result.get(key) for key in ("first_run_ms", "load_ms", "build_ms")},
                **{key: answer[key] for key in ("first_answer_s", "wall_s", "peak_mib")}}

    def dump(self, workload, head, path):
        if head != "encoder":
            raise processes.Failed("not compared: bench dumps hidden states only")
        self.bench(workload, head, "--once", "--dump-hidden", path)


class Peer:
    """A backend in a worker process inside the virtual environment."""

    def __init__(self, name, python, model, out, threads, lock):
        self.name, self.python, self.model, self.out = name, python, model, out
        self.threads, self.lock = threads, lock
        self.environment = processes.peer_environment(threads)

    def folder(self, head):
        """What the backend loads."""
        converts = backends.get(self.name).convert is not None
        return self.out / "converted" / f"{self.name}-{graph(head)}" if converts else self.model

    def work(self, action, head, *arguments):
        command = [self.python, HERE / "worker.py", action, self.name, head, self.model, *arguments]
        log = self.out / "logs" / f"{self.name}-{action}-{head}.log"
        return processes.run(command, log, self.environment, self.lock)

    def prepare(self, head):
        """Converts the model if this was not done for just this model before."""
        backend = backends.get(self.name)
        if graph(head) not in backend.HEADS:
            raise processes.Failed(f"{self.name} has no masked-LM head")
        target = self.folder(head)
        if backend.convert is None or read_stamp(target) == stamp(self.model):
            return
        shutil.rmtree(target, ignore_errors=True)
        target.mkdir(parents=True)
        self.work("convert", graph(head), target)
        (target / "converted-from.json").write_text(json.dumps(stamp(self.model)))

    def measure(self, measure, seconds):
        action, more = ("once", []) if measure.once else ("measure", [seconds])
        return self.work(action, measure.head, self.folder(measure.head), measure.workload, self.threads, *more)

    def dump(self, workload, head, path):
        self.work("dump", head, self.folder(head), workload, self.threads, path)


def graph(head):
    """The output a model is converted for: fill-mask looks at the logits."""
    return "encoder" if head == "encoder" else "logits"


def stamp(model):
    """Says whether a model folder is still the same."""
    parts = sorted(model.glob("*.safetensors")) + [model / "config.json"]
    return {part.name: [part.stat().st_size, part.stat().st_mtime] for part in parts}


def read_stamp(folder):
    try:
        return json.loads((folder / "converted-from.json").read_text())
    except (OSError, ValueError):
        return None
