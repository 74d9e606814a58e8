"""Runs one measured process: its answer, its time, its memory. Standard library only."""
import contextlib
import fcntl
import json
import os
import subprocess
import sys
import threading
import time

# Names of variables that change how a peer's libraries compute; oberta's users may have set them for PoCL's machine.
PEER_UNSET = ["OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE", "ONEDNN_DEFAULT_FPMATH_MODE", "DNNL_DEFAULT_FPMATH_MODE"]
TIMEOUT_S = 1800
MAXRSS_PER_MIB = 2**20 if sys.platform == "darwin" else 2**10


class Failed(Exception):
    """A process that gave no answer; says why in a line."""


@contextlib.contextmanager
def locked(path):
    """Holds the lock file, if there is one, so that two measurements never run at once."""
    if path is None:
        yield
        return
    with open(path, "a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def peer_environment(threads):
    environment = {name: value for name, value in os.environ.items() if name not in PEER_UNSET}
    environment.update(OMP_NUM_THREADS=str(threads), MKL_NUM_THREADS=str(threads), TOKENIZERS_PARALLELISM="false",
                       HF_HUB_OFFLINE="1", TRANSFORMERS_VERBOSITY="error", TQDM_DISABLE="1", PYTHONWARNINGS="ignore",
                       TRANSFORMERS_NO_ADVISORY_WARNINGS="1")
    return environment


def last_line(path):
    with open(path, errors="replace") as file:
        lines = [line.strip() for line in file if line.strip()]
    return lines[-1][:300] if lines else "no message"


def run(command, log, environment=None, lock=None):
    """Runs the command and returns the JSON object that it prints on standard output, with three figures added:

    first_answer_s  from the start of the process until the answer arrived, seconds
    wall_s          until the process was gone, seconds
    peak_mib        the most memory that the process ever held (ru_maxrss), MiB

    Standard error goes to the file `log`. Raises Failed.
    """
    with locked(lock), open(log, "w") as errors:
        start = time.perf_counter()
        try:
            process = subprocess.Popen([str(part) for part in command], stdout=subprocess.PIPE, stderr=errors,
                                       env=environment)
        except OSError as error:
            raise Failed(f"{command[0]}: {error.strerror}") from error
        alarm = threading.Timer(TIMEOUT_S, process.kill)
        alarm.start()
        output, answered = process.stdout.readline(), time.perf_counter()
        output += process.stdout.read()
        _, status, usage = os.wait4(process.pid, 0)
        ended = time.perf_counter()
        alarm.cancel()
        process.stdout.close()
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        raise Failed(f"exit status {process.returncode}: {last_line(log)}")
    return {**parse(output), "first_answer_s": answered - start, "wall_s": ended - start,
            "peak_mib": usage.ru_maxrss / MAXRSS_PER_MIB}


def parse(output):
    """The JSON object in the output: all of it, or its last line."""
    for text in (output, output.strip().split(b"\n")[-1]):
        with contextlib.suppress(ValueError):
            answer = json.loads(text)
            if isinstance(answer, dict):
                return answer
    raise Failed("the answer is not JSON")
