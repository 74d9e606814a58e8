#!/bin/sh
# liboberta as other programs meet it: installed somewhere, found by pkg-config, included from C and C++, linked shared and
# static, and run.
#
#     run_cases.sh BUILD SOURCE CC CXX PROGRAM PROGRAM_ON_SHARED
set -u
build=$1 source=$2 cc=$3 cxx=$4 program=$5 on_shared=$6
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work" || exit 1
export XDG_CONFIG_HOME="$work/config" # no tables of whoever runs this
unset OBERTA_TUNING
failed=0 passed=0
demo="$source/models/demo"

# check NAME COMMAND...: it must succeed; what it says is shown only where it does not.
check() {
    name=$1
    shift
    if "$@" >said.txt 2>&1; then
        passed=$((passed + 1))
    else
        echo "FAILED: $name"
        sed 's/^/  | /' said.txt | head -20
        failed=$((failed + 1))
    fi
}

same() {
    diff "$1" "$2"
}

check install cmake --install "$build" --prefix "$work/prefix"
pc=$(find "$work/prefix" -name oberta.pc)
libdir=$(dirname "$(dirname "$pc")")
include="$work/prefix/include"
PKG_CONFIG_PATH=$(dirname "$pc")
export PKG_CONFIG_PATH

# Headers: each alone and twice, in C11 and C++17, without a warning
compilers="$cc $(command -v clang)"
cxx_compilers="$cxx $(command -v clang++)"
for header in "$include"/oberta/*.h; do
    name=oberta/$(basename "$header")
    printf '#include <%s>\n#include <%s>\ntypedef int a_unit_is_not_empty;\n' "$name" "$name" >one.c
    cp one.c one.cpp
    for compiler in $compilers; do
        check "$name in C, $compiler" "$compiler" -std=c11 -Wall -Wextra -pedantic -Werror -fsyntax-only "-I$include" one.c
    done
    for compiler in $cxx_compilers; do
        check "$name in C++, $compiler" "$compiler" -std=c++17 -Wall -Wextra -pedantic -Werror -fsyntax-only "-I$include" \
            one.cpp
    done
done

# What the program and the examples include is installed, and what is installed needs no other package's headers
grep -rhoE '#include <oberta/[a-z0-9_]+\.h>' "$source/host/cli" "$source/tools/examples" |
    sed -E 's/.*<(.*)>/\1/' | sort -u >used.txt
while read -r header; do
    check "$header is installed" test -e "$include/$header"
done <used.txt
check 'installed headers include C and oberta alone' sh -c "! grep -rhE '#include' '$include/oberta' |
    grep -vE '<oberta/[a-z0-9_]+\.h>|<std(bool|int|def|arg)\.h>'"

# Symbols: what the headers declare is exported, and nothing else
cat $(find "$include/oberta" -name '*.h' ! -name api.h) | tr '\n' ' ' | grep -oE 'OB_API [^;()]*\(' | sed -E 's/.*[ *]([a-z0-9_]+)\($/\1/' |
    sort -u >declared.txt
nm -D --defined-only "$libdir/liboberta.so" | awk '{ print $NF }' | sort -u >exported.txt
check 'exported is what is declared' same declared.txt exported.txt
check 'every declared function is marked' sh -c "! grep -nE '^[a-z][a-z0-9_ ]*[ *]ob_[a-z0-9_]+\(' -r '$include/oberta' |
    grep -vE ':(static|typedef) '"
check 'there are some' test "$(wc -l <declared.txt)" -gt 150
check 'exported is ob_*' sh -c '! grep -vE "^ob_[a-z0-9]" exported.txt'
check 'the name that programs will look for' sh -c "readelf -d '$libdir/liboberta.so' | grep -q 'SONAME.*liboberta.so.0\]'"

# Examples: shared and static, the same answers as the program's
cat >flags.txt <<EOF
-std=c11 -Wall -Wextra -pedantic -Werror $(pkg-config --cflags oberta)
EOF
read -r flags <flags.txt
static=$(pkg-config --static --libs oberta | sed 's/-loberta/-l:liboberta.a/')
for example in fill_mask embed; do
    check "$example, shared" "$cc" $flags "$source/tools/examples/$example.c" -o $example $(pkg-config --libs oberta) -lm
    check "$example, static" "$cc" $flags "$source/tools/examples/$example.c" -o ${example}_static $static
done
export LD_LIBRARY_PATH="$libdir"
set -- 'for i in <mask>(10):' 'import <mask> as <mask>' 'I love China'
check 'fill_mask' sh -c './fill_mask "$@" >example.txt' - "$demo" auto "$@"
check 'fill_mask, static' sh -c 'unset LD_LIBRARY_PATH && ./fill_mask_static "$@" >static.txt' - "$demo" auto "$@"
check 'static is as shared' same example.txt static.txt
check 'oberta fill-mask' sh -c '"$@" >table.txt' - "$program" fill-mask -m "$demo" -k 3 "$@"
# Scores and filled texts, between which the program shows the token; it escapes what is not printable.
sed -nE 's/^  ([01]\.[0-9]{3})  .*  ((<s>)?(for|import).*)$/\1 \2/p' table.txt >wanted.txt
sed -nE 's/^  ([01]\.[0-9]{3})  /\1 /p' example.txt >got.txt
check 'fill_mask says what the program says' same wanted.txt got.txt
check 'nine predictions of it' test "$(wc -l <got.txt)" -eq 9
check 'and the best tokens of a text without a mask' grep -q '^  -> I love China' example.txt
check 'a selector that fits nothing is said' sh -c './fill_mask "$1" type=accelerator x 2>&1 | grep "ruled out by type"' - "$demo"
check 'its status' sh -c './fill_mask "$1" type=accelerator x; test $? -eq 5' - "$demo"
check 'a folder that is none' sh -c './fill_mask /dev/null/none auto x 2>&1 | grep "/dev/null/none: no such folder"'

set -- 'import numpy as np' 'import pandas as pd' 'The cat sat on the mat.'
check 'embed' sh -c './embed "$@" >cosines.txt' - "$demo" auto "$@"
check 'embed, static' sh -c 'unset LD_LIBRARY_PATH && ./embed_static "$@" >static.txt' - "$demo" auto "$@"
check 'static is as shared' same cosines.txt static.txt
printf '%s\n' "$@" >texts.txt
cat >embed.yaml <<EOF
model: {path: $demo}
task: feature-extraction
feature_extraction: {pooling: mean, normalize: true}
inputs: {path: texts.txt}
output: {path: vectors.jsonl}
EOF
check 'oberta run' "$program" run embed.yaml
# The lower triangle of dot products of the program's vectors, as the example prints it.
sed -E 's/.*"embedding":\[([^]]*)\].*/\1/' vectors.jsonl | awk -F, '
    { for (k = 1; k <= NF; k++) v[NR, k] = $k
      for (j = 1; j <= NR; j++) { sum = 0; for (k = 1; k <= NF; k++) sum += v[NR, k] * v[j, k]; printf "%8.4f", sum }
      print "" }' >wanted.txt
sed -nE 's/^(( +-?[01]\.[0-9]{4})+)  .*/\1/p' cosines.txt >got.txt
check 'embed says what the program says' same wanted.txt got.txt
check 'three lines of it' test "$(wc -l <got.txt)" -eq 3
check 'a text is one with itself, from its ids too' grep -q 'again from ids: 1.0000' cosines.txt

# C++
check 'a program in C++' "$cxx" -std=c++17 -Wall -Wextra -pedantic -Werror $(pkg-config --cflags oberta) \
    "$source/tests/library/cplusplus.cpp" -o cplusplus $(pkg-config --libs oberta)
check 'its run' sh -c './cplusplus "$1" >cplusplus.txt' - "$demo"
check 'one version everywhere' grep -q "^liboberta $(pkg-config --modversion oberta)," cplusplus.txt

# The program is made of the same functions as everybody else's
check 'the program on the shared library' sh -c '"$@" >on_shared.txt' - "$on_shared" fill-mask -m "$demo" -k 3 \
    'for i in <mask>(10):' 'import <mask> as <mask>' 'I love China'
check 'its answers' same table.txt on_shared.txt
check 'the program as it was installed' sh -c '"$1/bin/oberta" fill-mask "for i in <mask>(10):" | grep range' - "$work/prefix"

echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
