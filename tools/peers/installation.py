"""The virtual environment with the peers, their versions and the machine. Standard library only."""
import json
import os
import platform
import subprocess
import sys

COMMON_PACKAGES = ["numpy", "safetensors"]
LIST_VERSIONS = """
import importlib.metadata, json
print(json.dumps({d.metadata["Name"].lower().replace("_", "-"): d.version for d in importlib.metadata.distributions()}))
"""


def python_of(venv):
    return venv / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


def installed(venv):
    """Versions by distribution; empty when there is no environment yet."""
    if not python_of(venv).exists():
        return {}
    answer = subprocess.run([python_of(venv), "-c", LIST_VERSIONS], stdout=subprocess.PIPE, check=True)
    return json.loads(answer.stdout)


def install(venv, packages):
    """Installs what is missing, one by one so that one that fails stops no other. Returns versions and {package: reason}."""
    if not python_of(venv).exists():
        subprocess.run([sys.executable, "-m", "venv", venv], check=True)
    have, failures = installed(venv), {}
    for package in packages:
        if package in have:
            continue
        print(f"# installing {package} into {venv}", file=sys.stderr)
        pip = subprocess.run([python_of(venv), "-m", "pip", "install", "-q", package], stderr=subprocess.PIPE, text=True)
        if pip.returncode != 0:
            failures[package] = "pip: " + (pip.stderr.strip().splitlines() or ["failed"])[-1][:200]
    return installed(venv), failures


def cpu_model():
    try:
        with open("/proc/cpuinfo") as file:
            names = {line.split(":", 1)[1].strip() for line in file if line.startswith("model name")}
        return ", ".join(sorted(names)) or platform.processor()
    except OSError:
        return platform.processor()


def cpu_extensions():
    """The vector and matrix instructions that matter for float32 and for silent bfloat16."""
    wanted = ("avx2", "fma", "avx512f", "avx512_bf16", "amx_bf16", "asimd", "sve")
    try:
        with open("/proc/cpuinfo") as file:
            flags = next((line.split(":", 1)[1].split() for line in file if line.startswith(("flags", "Features"))), [])
        return [flag for flag in wanted if flag in flags]
    except OSError:
        return []


def core_count():
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()


def machine():
    return {"cpu": cpu_model(), "extensions": cpu_extensions(), "cores": core_count(), "system": platform.platform(),
            "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
            "load_average": os.getloadavg()}


def oberta_version(program):
    """What the program calls itself, and the commit of the tree that this script lies in."""
    commands = {"version": [program, "--version"],
                "commit": ["git", "-C", os.path.dirname(os.path.abspath(__file__)), "describe", "--always", "--dirty"]}
    answers = {}
    for name, command in commands.items():
        try:
            answers[name] = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=True,
                                           text=True).stdout.strip().split("\n")[0]
        except (OSError, subprocess.CalledProcessError):
            answers[name] = None
    return answers
