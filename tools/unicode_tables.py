"""Writes models/tokenizer/unicode_tables.c: the letters and numbers of Unicode 16.0 as ranges.

    python3 tools/unicode_tables.py > models/tokenizer/unicode_tables.c        (needs unicodedata2 16.0.0)

The tokenizer's pattern knows \\p{L}, \\p{N}, white space and the rest; "word" characters (\\w: letters, marks, numbers,
connectors and a few more) bound added tokens of the kind single_word. The fingerprints are those of the reference
implementation's tables, so that another version of Unicode cannot slip in.
"""
import hashlib
import sys

import unicodedata2

FINGERPRINTS = {
    "letter": "a09abffa7f113dc51d0a29c904b94b2214dc907da0194c9a534f43345b4a6f43",
    "number": "6574d61ab226779f0aa14797896c6c7c44dabca207d94d9cb9dec8ae277a64a6",
}


# What \w has beside these categories: the joiners, and symbols that count as alphabetic (letters in circles and boxes).
OTHER_WORDS = {0x200C, 0x200D, *range(0x24B6, 0x24EA), *range(0x1F130, 0x1F14A), *range(0x1F150, 0x1F16A),
               *range(0x1F170, 0x1F18A)}


def ranges(belongs, others=()):
    """Maximal inclusive ranges of code points, surrogates left out."""
    out = []
    for c in range(0x110000):
        if 0xD800 <= c < 0xE000 or not (c in others or belongs(unicodedata2.category(chr(c)))):
            continue
        if out and out[-1][1] == c - 1:
            out[-1][1] = c
        else:
            out.append([c, c])
    return out


def main():
    if unicodedata2.unidata_version != "16.0.0":
        sys.exit("unicodedata2 16.0.0 is needed, this is " + unicodedata2.unidata_version)
    tables = {
        "letter": ranges(lambda category: category[0] == "L"),
        "number": ranges(lambda category: category[0] == "N"),
        "word": ranges(lambda category: category[0] in "LM" or category in ("Nd", "Nl", "Pc"), OTHER_WORDS),
    }
    print("/* Unicode 16.0, written by tools/unicode_tables.py; do not edit. */")
    print('#include "unicode.h"')
    for name, table in tables.items():
        text = "".join(f"{low:X}-{high:X}\n" for low, high in table)
        if name in FINGERPRINTS and hashlib.sha256(text.encode()).hexdigest() != FINGERPRINTS[name]:
            sys.exit(f"the table of {name}s differs from the reference's")
        print(f"\nconst ob__unicode_range ob__unicode_{name}s[] = {{")
        items = [f"{{0x{low:X}, 0x{high:X}}}," for low, high in table]
        for i in range(0, len(items), 6):
            print("    " + " ".join(items[i:i + 6]))
        print(f"}};\nconst size_t ob__unicode_{name}_count = {len(table)};")


main()
