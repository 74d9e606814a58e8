"""Compares a dump with the reference, tensor by tensor. Runs inside the virtual environment and prints one line of JSON.

    python compare.py REFERENCE.safetensors DUMP.safetensors

max_abs: the largest absolute difference of any element; largest: the largest absolute value of the reference;
sha256: of the dump's bytes in the order of the reference's names, to see whether two runs gave the same bits.
A dump may hold more tensors than the reference, not fewer, and may have a leading dimension of 1.
"""
import hashlib
import json
import sys


def compare(reference, dump):
    import numpy
    max_abs = largest = 0.0
    digest = hashlib.sha256()
    for name, wanted in sorted(reference.items()):
        if name not in dump:
            return {"error": f"the dump has no {name}"}
        if dump[name].size != wanted.size:
            return {"error": f"{name} has shape {list(dump[name].shape)}, the reference {list(wanted.shape)}"}
        have = dump[name].reshape(wanted.shape)
        digest.update(have.tobytes())
        difference = numpy.abs(have.astype(numpy.float64) - wanted)
        max_abs = max(max_abs, float(numpy.nan_to_num(difference, nan=numpy.inf).max()))
        largest = max(largest, float(numpy.abs(wanted).max()))
    return {"tensors": len(reference), "max_abs": max_abs, "largest": largest, "sha256": digest.hexdigest()}


def main():
    from safetensors.numpy import load_file
    print(json.dumps(compare(load_file(sys.argv[1]), load_file(sys.argv[2]))))


if __name__ == "__main__":
    main()
