"""Writes host/tasks/lower_case_table.c: which code points str.lower changes, and by how much.

    python3 tools/lower_case_table.py > host/tasks/lower_case_table.c

U+0130 alone becomes two code points; lower_case.c knows it. Made with Python 3.11 (Unicode 14.0).
"""
import unicodedata


def ranges():
    """[first, last, step, delta]: each step-th code point from first to last moves by delta."""
    out = []
    for c in range(0x110000):
        lower = chr(c).lower() if not 0xD800 <= c < 0xE000 else chr(c)
        if len(lower) != 1 or ord(lower) == c:
            continue
        delta = ord(lower) - c
        if out and out[-1][3] == delta:
            first, last, step, _ = out[-1]
            if c - last in ((1, 2) if first == last else (step,)):
                out[-1][1:3] = [c, c - last]
                continue
        out.append([c, c, 1, delta])
    return out


table = ranges()
print(f"/* Unicode {unicodedata.unidata_version}, written by tools/lower_case_table.py; do not edit. */")
print('#include "lower_case.h"\n')
print("const ob__lower_range ob__lower_ranges[] = {")
items = [f"{{0x{first:X}, 0x{last:X}, {step}, {delta}}}," for first, last, step, delta in table]
for i in range(0, len(items), 4):
    print("    " + " ".join(items[i:i + 4]))
print(f"}};\nconst size_t ob__lower_range_count = {len(table)};")
