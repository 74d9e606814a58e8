#!/bin/sh
# The program as a user meets it: what it prints, its exit status, and that nothing half-written stays behind.
#
#     run_cases.sh PROGRAM MODELS DATA
set -u
program=$1 models=$2 data=$3
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work" || exit 1
export XDG_CONFIG_HOME="$work/config" # no tables of whoever runs this
unset OBERTA_TUNING
failed=0 passed=0
demo="$models/demo"

# expect STATUS TEXT COMMAND...: runs it; TEXT (an extended regular expression) must be in what it prints.
expect() {
    status=$1 text=$2
    shift 2
    "$@" >out.txt 2>err.txt </dev/null
    got=$?
    if [ "$got" -ne "$status" ] || ! cat out.txt err.txt | grep -Eq -- "$text"; then
        echo "FAILED: $*"
        echo "  exit status $got, expected $status; expected to read: $text"
        sed 's/^/  | /' out.txt err.txt | head -20
        failed=$((failed + 1))
    else
        passed=$((passed + 1))
    fi
}

# As expect with status 0, but a machine that is busy gets more attempts of a command that is given little time.
expect_at_last() { # TEXT COMMAND...
    text=$1 attempts=0
    shift
    while [ $attempts -lt 60 ]; do
        "$@" >at_last.txt 2>&1 </dev/null
        grep -Eq -- "$text" at_last.txt && break
        attempts=$((attempts + 1))
    done
    expect 0 "$text" cat at_last.txt
}

# wait_for FILE [TEXT]: until the file has something in it, or the text, as long as it takes within minutes.
wait_for() {
    waited=0
    while ! grep -qs -- "${2:-}" "$1" && [ $waited -lt 600 ]; do
        sleep 0.5
        waited=$((waited + 1))
    done
}

nothing_left() {
    left=$(find . -name '*.tmp' -o -name '.oberta-*' -o -name "$1" | head -5)
    if [ -n "$left" ]; then
        echo "FAILED: left behind: $left"
        failed=$((failed + 1))
    fi
}

job() { # job NAME LINE...: a job file on the demo model
    name=$1
    shift
    { echo "model: {path: $demo}"; printf '%s\n' "$@"; } >"$name"
}

printf 'for i in <mask>(10):\nI love China\n' >texts.txt
printf '{"text":"import <mask> as np","id":7}\n{"text":"a <mask> b","id":"x"}\n' >rows.jsonl

# The main job, and its formats
job good.yaml 'inputs: {path: rows.jsonl}' 'output: {path: out.jsonl}'
expect 0 'done' $program run good.yaml
expect 0 '"row":0,"id":7,"masks":\[\[\{"score":0\.99' cat out.jsonl
expect 0 '"row":1,"id":"x"' cat out.jsonl
expect 6 'exists already' $program run good.yaml
expect 0 'done' $program run -s output.overwrite=true good.yaml
expect 0 '"id":7,"masks":\[\[\{"score":[0-9.e-]+,"token":[0-9]+,"token_str":"n"[^]]*\]\]' \
    $program run -q -s output.path=- -s output.format=jsonl -s 'fill_mask.targets=n' good.yaml
expect 2 'targets: a token, or several' $program fill-mask -t '' 'a <mask>'
expect 0 'chosen|only device|of 1|best of' $program run --check -s output.path=other.jsonl good.yaml
expect 0 'row,id,mask,rank,score' $program run -q -s output.path=- -s output.format=csv good.yaml
job features.yaml 'task: feature-extraction' 'inputs: {path: texts.txt}' 'output: {path: f.npy}' 'feature_extraction: {pooling: mean}'
expect 0 'done' $program run features.yaml
job forward.yaml 'task: forward' 'inputs: {path: texts.txt}' 'output: {path: f.safetensors}' 'forward: {outputs: [last_hidden_state, logits]}'
expect 0 'done' $program run forward.yaml
expect 0 'last_hidden_state.0.*logits.1|logits.1.*last_hidden_state.0' sh -c 'head -c 2000 f.safetensors | tr -d "\0"'

# --check says what each task would do
plan() { # plan TASK MODEL TEXT [LINE...]
    task=$1 folder=$2 says=$3
    shift 3
    { printf '%s\n' "model: {path: $data/goldens/$folder/model}" "task: $task" 'inputs: {path: rows.jsonl}' \
        'output: {path: plan.jsonl}' "$@"; } >plan.yaml
    expect 0 "^task     $task: $says" $program run --check plan.yaml
}
plan text-classification seqcls3 'top_k all, function_to_apply sigmoid' \
    'text_classification: {top_k: null, function_to_apply: sigmoid}'
plan token-classification tokcls 'aggregation_strategy max, long texts in windows that share 8 tokens' \
    'token_classification: {aggregation_strategy: max, stride: 8}'
plan question-answering qa 'top_k 2, answers of up to 5 words, .*, or no answer' \
    'question_answering: {top_k: 2, max_answer_len: 5, handle_impossible_answer: true}'
plan multiple-choice mchoice 'a sequence for each choice'
plan pseudo-log-likelihood mlm12 'a sequence for each token'
plan feature-extraction pooler 'pooling pooler, normalized' 'feature_extraction: {pooling: pooler, normalize: true}'
plan forward cross 'hidden_states, attentions' 'forward: {outputs: [hidden_states, attentions]}'
expect 0 '"task":"forward","options":"hidden_states, attentions",.*"max_length":40,' $program run --check --json plan.yaml
nothing_left plan.jsonl

# The same bits whatever the batch: alone, in order, sorted, with a small budget
i=0
while [ $i -lt 40 ]; do
    printf '{"text":"%s <mask> x"}\n' "$(head -c $((i * 7 % 60 + 1)) "$demo/config.json" | tr -cd 'a-z_ ')" >>many.jsonl
    i=$((i + 1))
done
job many.yaml 'inputs: {path: many.jsonl}' 'output: {path: "-"}'
$program run -q many.yaml >a.txt 2>/dev/null
$program run -q -s batch.max_tokens=512 -s batch.sort_by_length=false many.yaml >b.txt 2>/dev/null
while read -r line; do
    printf '%s\n' "$line" >one.jsonl
    $program run -q -s inputs='{path: one.jsonl}' many.yaml 2>/dev/null | sed 's/^{"row":0,//' >>c.txt
done <<END
$(sed -n '3p;17p;40p' many.jsonl)
END
expect 0 same sh -c 'cmp a.txt b.txt && echo same'
expect 0 same sh -c "sed -n '3p;17p;40p' a.txt | sed 's/^{\"row\":[0-9]*,//' | cmp - c.txt && echo same"
expect 0 '^40$' sh -c 'wc -l <a.txt'

# Other tasks: what they write, and what they cannot
goldens="$data/goldens"
job class.yaml "inputs: {path: texts.txt}" 'output: {path: "-"}' 'task: text-classification'
sed -i "1s|.*|model: {path: $goldens/seqcls3/model}|" class.yaml
expect 0 '"row":1,"label":"contradiction","score":0.48[0-9]*[}]' $program run -q class.yaml
expect 0 '"row":1,"label":"contradiction".*"labels":.*neutral.*entailment' $program run -q -s text_classification.top_k=null class.yaml
expect 0 '^row,id,label,score' $program run -q -s output.format=csv class.yaml
expect 2 'npy cannot hold labels; jsonl and csv can' $program run -q -s output.path=n.npy class.yaml
expect 0 '"row":0,"score":-[0-9.]*,"token_count":' $program run -q -s task=pseudo-log-likelihood -s model.path="$demo" class.yaml
expect 2 'choices come as jsonl alone' $program run -q -s task=multiple-choice -s model.path="$goldens/mchoice/model" class.yaml
printf '{"choices":[["a","b"],["a","c"]]}\n{"choices":7}\n' >choices.jsonl
job choices.yaml 'inputs: {path: choices.jsonl}' 'output: {path: "-"}' 'task: multiple-choice' 'on_error: skip'
sed -i "1s|.*|model: {path: $goldens/mchoice/model}|" choices.yaml
expect 4 '"row":0,"choice":[01],"score":0\.[0-9]+,"scores":\[[^]]+\],"logits":\[[^]]+\][}]' $program run -q choices.yaml
expect 0 '"row":0,"error".*choices: a list of 1 to 4096 pairs' sh -c "$program run -q choices.yaml 2>/dev/null | sed -n 's/.row.:1/\"row\":0/p'"
job cross.yaml "inputs: {path: $goldens/cross/inputs.jsonl, tensors: $goldens/cross/encoder.safetensors}" \
    'output: {path: cross.safetensors}' 'task: forward' 'forward: {outputs: [cross_attentions, logits]}'
sed -i "1s|.*|model: {path: $goldens/cross/model}|" cross.yaml
expect 0 'done' $program run cross.yaml
expect 0 'cross_attentions.5' sh -c 'head -c 3000 cross.safetensors | tr -d "\0"'
expect 2 "only the task 'forward' takes encoder states" $program run -s task=fill-mask cross.yaml
sed 's/, tensors: [^}]*//; s/cross.safetensors/none.safetensors/' cross.yaml >stateless.yaml
expect 2 'forward.outputs: cross_attentions needs inputs.tensors' $program run stateless.yaml
expect 3 'add_cross_attention: false' $program run -s model.path="$demo" stateless.yaml
expect 0 'done' $program run -s forward.outputs='[logits]' stateless.yaml

# Wrong job files: place, key, rule
job bad1.yaml 'inputs: {path: rows.jsonl}' 'batch:' '  max_token: 9' 'fill_mask:' '  top_k: -3'
expect 2 'bad1.yaml:4:3: batch.max_token: unknown key; did you mean .max_tokens.' $program run bad1.yaml
expect 2 'bad1.yaml:6:10: fill_mask.top_k: -3 is not between 1 and the vocabulary' $program run bad1.yaml
job bad2.yaml 'inputs: [oops'
expect 2 'bad2.yaml:[0-9]+:[0-9]+: ' $program run bad2.yaml
job bad3.yaml 'task: fill-mask'
expect 2 'inputs: missing' $program run bad3.yaml
job bad4.yaml 'inputs: {path: rows.jsonl}' 'task: text-classification'
expect 3 'the file has no sequence-classification head' $program run bad4.yaml
job bad5.yaml 'inputs: &a {path: rows.jsonl}' 'output: *a'
expect 2 'anchors and aliases' $program run bad5.yaml
job bad6.yaml 'inputs: {path: rows.jsonl}' 'inputs: {path: rows.jsonl}'
expect 2 'given twice' $program run bad6.yaml
job bad7.yaml 'inputs: {path: rows.jsonl}' 'fill_mask: {top_k: 9999999}' 'output: {path: n.jsonl}'
expect 2 'top_k: 9999999 is not between 1 and the vocabulary.s size \(8192\)' $program run bad7.yaml
expect 6 'nothere.jsonl' $program run -s 'inputs={path: nothere.jsonl}' -s output.path=n.jsonl good.yaml
expect 2 "did you mean" $program run --sett a=b good.yaml
expect 2 "did you mean 'tokenize'" $program tokenise
nothing_left 'n.jsonl'

# Wrong models
mkdir broken
expect 3 'broken' $program fill-mask -m broken x
cp "$demo"/*.json "$demo"/merges.txt broken/
expect 3 'model.safetensors' $program fill-mask -m broken x
head -c 100000 "$demo/model.safetensors" >broken/model.safetensors
expect 3 'incomplete|bytes' $program fill-mask -m broken x
cp "$demo/model.safetensors" broken/
sed 's/"num_hidden_layers": 12/"num_hidden_layers": 13/' "$demo/config.json" >broken/config.json
expect 3 "tensor 'roberta.encoder.layer.12.attention.self.query.weight' is missing" $program fill-mask -m broken x
expect 3 "layer.12.output.LayerNorm.bias' is missing" $program inspect broken
sed 's/"hidden_size": 128/"hidden_size": 130/' "$demo/config.json" >broken/config.json
expect 3 'shape \(8192, 128\), but config.json asks for \(8192, 130\)' $program inspect broken
cp "$demo/config.json" broken/
printf 'x y z\n' >>broken/merges.txt
expect 3 'merges.txt:[0-9]+: .x y z.: not two tokens' $program inspect broken
printf '#version\nqqq zzz\n' >broken/merges.txt
expect 3 'not in the vocabulary' $program inspect broken

# Folders of sentence-transformers, in the old layout and with what oberta does not have
mkdir -p sentences/0_Transformer sentences/1_Pooling
cp "$data"/goldens/pooler/model/* sentences/0_Transformer/
printf '{"max_seq_length": 24}' >sentences/0_Transformer/sentence_bert_config.json
printf '{"word_embedding_dimension": 32, "pooling_mode_mean_tokens": true, "pooling_mode_max_tokens": true}' \
    >sentences/1_Pooling/config.json
module() { # module INDEX PATH CLASS
    printf '{"idx":%s,"name":"%s","path":"%s","type":"sentence_transformers.models.%s"}' "$1" "$1" "$2" "$3"
}
modules() { # modules THIRD: the third module's class
    echo "[$(module 0 0_Transformer Transformer),$(module 1 1_Pooling Pooling),$(module 2 2_$1 $1)]" >sentences/modules.json
}
modules Normalize
expect 0 '^sentence +modules.json: max \+ mean pooling, normalized, max_seq_length 24, encoder in 0_Transformer$' \
    $program inspect sentences
expect 0 '^tasks +feature-extraction, forward$' $program inspect sentences
expect 0 '"sentence":[{]"pooling":\["max","mean"\],"normalize":true,"max_seq_length":24,.*"tasks":\["feature-ex' \
    $program inspect --json sentences
expect 0 '"input_ids":\[0,' $program tokenize -m sentences --json 'a b'
job sentences.yaml 'task: feature-extraction' 'inputs: {path: texts.txt}' 'output: {path: "-"}'
expect 0 '27 K parameters' $program run -m sentences sentences.yaml
modules Dense
expect 0 "^sentence +modules.json: modules.json.2.: 'Dense': .*; feature-extraction needs" $program inspect sentences
expect 0 '"sentence":[{]"error":"modules.json.2.: ' $program inspect --json sentences
rm sentences/0_Transformer/config.json
expect 3 '^sentences/0_Transformer/config.json: no such file' $program inspect sentences

# A tokenizer of another class, without a mask token
mkdir unmasked
cp "$data"/goldens/mlm12/model/* unmasked/
printf '{"tokenizer_class":"PreTrainedTokenizerFast"}' >unmasked/tokenizer_config.json
sed 's/<mask>/<hole>/' "$data/goldens/mlm12/model/tokenizer.json" >unmasked/tokenizer.json
rm unmasked/special_tokens_map.json
expect 3 'unmasked: the tokenizer has no mask token' $program fill-mask -m unmasked x
expect 0 '"mask":null' $program inspect --json unmasked
expect 0 ', mask none$' $program inspect unmasked
expect 0 '^tasks +feature-extraction, forward$' $program inspect unmasked

# inspect: everything that is wrong with a folder at once, and what a good one holds
cp "$demo"/* broken/ 2>/dev/null
sed 's/"hidden_act": "gelu"/"hidden_act": "gulp"/' "$demo/config.json" >broken/config.json
head -c 100000 "$demo/model.safetensors" >broken/model.safetensors
rm broken/merges.txt
printf '{' >broken/tokenizer_config.json
expect 3 'gulp' $program inspect broken
expect 3 'model.safetensors: file is 100000 bytes' $program inspect broken
expect 3 'broken: tokenizer_config.json:1:1' $program inspect broken
expect 3 'broken: merges.txt is missing' $program inspect broken
expect 0 '^4$' sh -c "$program inspect broken 2>&1 | grep -c '^broken[:/]'"
expect 3 '^nowhere: no such folder$' $program inspect nowhere
expect 3 '"usable":false,"errors":\["broken: ' $program inspect --json broken
cp "$demo/config.json" "$demo/model.safetensors" broken/
rm broken/vocab.json broken/tokenizer_config.json
expect 3 'vocab.json is missing' $program inspect broken
expect 3 'merges.txt is missing' $program inspect broken
cp "$demo"/vocab.json "$demo"/merges.txt broken/
printf 'version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 498\n' | tee broken/merges.txt >broken/config.json
rm broken/model.safetensors
mkdir broken/model.safetensors
expect 3 'config.json: a Git LFS pointer in place of the file' $program inspect broken
expect 3 'merges.txt: a Git LFS pointer in place of the file' $program inspect broken
expect 3 'model.safetensors: a folder, not a regular file' $program inspect broken
rmdir broken/model.safetensors
cp "$demo/merges.txt" "$demo/model.safetensors" broken/
sed 's/RobertaForMaskedLM/RobertaForQuestionAnswering/' "$demo/config.json" >broken/config.json
expect 3 "tensor 'qa_outputs.weight' is missing" $program inspect broken
expect 3 "no question-answering head, which config.json's architectures name" $program inspect broken
sed 's/RobertaForMaskedLM/RobertaModel/' "$demo/config.json" >broken/config.json
expect 0 '^heads +masked-lm, decoder tied' $program inspect broken
expect 0 '^weights +safetensors, .*202 tensors \(202 F16\), 3,518,976 parameters' $program inspect
expect 0 'a batch of 512 tokens takes about 1.5 MiB on a GPU' $program inspect --tokens 512
expect 0 'bos <s> 0, pad <pad> 1, eos </s> 2, unk <unk> 3, mask <mask> 8191' $program inspect
expect 0 'F16   lm_head.dense.weight  \(128, 128\)$' $program inspect -v
expect 0 'lm_head.decoder.weight  \(300, 32\)  not used' $program inspect -v "$data/goldens/tied/model_equal_decoder"
expect 0 '^tasks +fill-mask, feature-extraction, forward, pseudo-log-likelihood$' $program inspect
expect 0 '^heads +pooler$' $program inspect "$data/goldens/pooler/model"
expect 0 'RobertaForCausalLM.*, decoder, cross-attention$' $program inspect "$data/goldens/cross/model"
expect 0 'sequence-classification, 3 labels \(entailment, neutral, contradiction\)' $program inspect \
    "$data/goldens/seqcls3/model"
expect 0 ', 3 heads pruned$' $program inspect "$data/goldens/pruned/model"
expect 2 'not a number between' $program inspect --tokens 0
if command -v python3 >/dev/null; then
    $program inspect --json >inspect.json
    expect 0 'read' python3 -c 'import json
found = json.load(open("inspect.json"))
assert found["usable"] and found["heads"] == ["masked-lm"] and found["parameters"] == 3518976
assert found["tokenizer"]["special_tokens"]["mask"] == {"id": 8191, "token": "<mask>"}
assert all(tensor["used"] for tensor in found["tensors"]) and len(found["tensors"]) == found["tensor_count"]
print("read")'
fi

# The attention page: complete or not there, and never in place of something else
expect 0 'attention of 2 texts -> page.html' $program fill-mask --attention page.html 'a <mask>' '</script>'
expect 0 '"layers":12,"heads":2,"tokens":\["<s>","a","<mask>","</s>"\]' sh -c "sed 's/u003c/</g; s/u003e/>/g' page.html | tr -d '\134'"
expect 0 '^2$' sh -c "grep -c 'class=\"text\"' page.html"
# In a browser, where there is one: the grid is built, and tokens are text
if command -v chromium >/dev/null; then
    timeout 120 chromium --headless --no-sandbox --disable-gpu --user-data-dir="$work/browser" --virtual-time-budget=3000 \
        --dump-dom "file://$work/page.html" >dom.html 2>/dev/null
    expect 0 '^24$' sh -c "grep -o 'role=\"radio\"' dom.html | wc -l"
    expect 0 '<h2 id="picked">Layer 0, head 0<' cat dom.html
    expect 0 '<option>&lt;/script&gt;</option>' cat dom.html
    { cat page.html; cat <<'EOF'; } >drawn.html
<script>
const drawn = (c) => c.getContext("2d").getImageData(0, 0, c.width, c.height).data.some((v) => v !== 0);
setTimeout(() => document.title = "drawn " + [...document.querySelectorAll("#heads canvas")].filter(drawn).length, 500);
</script>
EOF
    timeout 120 chromium --headless --no-sandbox --disable-gpu --user-data-dir="$work/browser" --virtual-time-budget=3000 \
        --dump-dom "file://$work/drawn.html" >dom.html 2>/dev/null
    expect 0 '<title>drawn 24<' cat dom.html
fi
expect 0 'page.html' $program fill-mask --attention page.html 'another <mask>'
expect 6 'rows.jsonl: exists already and is not an attention page' $program fill-mask --attention rows.jsonl 'a <mask>'
expect 6 'cannot create' $program fill-mask --attention nothere/page.html 'a <mask>'
expect 5 'ruled out' $program fill-mask -d type=accelerator --attention page2.html 'a <mask>'
nothing_left 'page2.html'

# PyTorch's files: as published, and hostile ones, of which nothing is run and beside which nothing is opened
bins="$data/goldens/container_f32"
expect 0 'PyTorch zip, .*28 tensors' $program inspect "$bins/model_bin_zip"
expect 0 'PyTorch legacy, .*28 tensors' $program inspect "$bins/model_bin_legacy"
expect 0 'PyTorch zip, 4 shards, .*28 tensors' $program inspect "$bins/model_bin_shards"
expect 0 '"container":"PyTorch legacy"' $program inspect --json "$bins/model_bin_legacy_views"
for form in model model_bin_zip model_bin_legacy model_bin_shards model_bin_parameters model_bin_views; do
    expect 0 '.' $program fill-mask --json -m "$bins/$form" 'a <mask> b'
    [ "$form" = model ] && cp out.txt plain.txt
    cmp -s out.txt plain.txt || {
        echo "FAILED: $form predicts otherwise than its safetensors"
        failed=$((failed + 1))
    }
done
mkdir hostile
cp "$bins"/model/*.json "$bins/model/merges.txt" hostile/
{
    printf '\200\002\212\012l\374\234F\371 j\250P\031.\200\002M\351\003.\200\002}.'
    printf '\200\002cposix\nsystem\nU\014touch pwned.txt\205R.'
} >hostile/pytorch_model.bin
expect 3 "hostile/pytorch_model.bin: .*GLOBAL: global 'posix.system' is not among" $program inspect hostile
expect 3 "hostile/pytorch_model.bin: .*GLOBAL: global 'posix.system' is not among" $program fill-mask -m hostile x
[ ! -e pwned.txt ] || {
    echo "FAILED: the pickle was run"
    failed=$((failed + 1))
}
head -c 40000 "$bins/model_bin_zip/pytorch_model.bin" >hostile/pytorch_model.bin
expect 3 'hostile/pytorch_model.bin: zip: .*incomplete download' $program inspect hostile
rm hostile/pytorch_model.bin
printf '{"weight_map":{"a":"../container_f32/model_bin_zip/pytorch_model.bin","b":"/etc/passwd"}}' \
    >hostile/pytorch_model.bin.index.json
expect 3 "bin.index.json: weight_map: file name '../container_f32/.*' begins with a dot" $program inspect hostile
expect 3 "file name '/etc/passwd' is not a plain file name" $program inspect hostile

# Wrong rows: stop names the place; skip writes an error row and goes on
printf '{"text":"ok <mask>"}\n{"text":5}\nnot json\n{"text":"\377"}\n{"text":"fine <mask>"}\n' >poison.jsonl
job poison.yaml 'inputs: {path: poison.jsonl}' 'output: {path: p.jsonl}'
expect 6 'poison.jsonl:2: row 1: text: a string is expected' $program run poison.yaml
nothing_left p.jsonl
expect 4 '3 of 5 rows failed' $program run -s on_error=skip poison.yaml
expect 0 '^5$' sh -c 'wc -l <p.jsonl'
expect 0 'invalid UTF-8 at byte' cat p.jsonl
awk 'BEGIN { for (i = 0; i < 3000; i++) printf "word " }' >long.txt
job long.yaml 'inputs: {path: long.txt}' 'output: {path: l.jsonl}' 'tokenizer: {truncation: error}'
expect 6 'long.txt:1: row 0: [0-9]+ tokens with the special ones, but at most 512' $program run long.yaml
expect 0 'done' $program run -s tokenizer.truncation=longest_first long.yaml

# A first row that is wrong costs a CSV none of the rows after it; one bad quote costs one row
printf '{"text":5}\n{"text":"good one"}\n{"text":"good two"}\n' >first.jsonl
job first.yaml 'task: feature-extraction' 'feature_extraction: {pooling: cls}' 'inputs: {path: first.jsonl}' \
    'output: {path: first.csv}' 'on_error: skip'
expect 4 '1 of 3 rows failed' $program run first.yaml
expect 0 '^4$' sh -c 'wc -l <first.csv'
expect 0 '^2,,-?[0-9]' cat first.csv
printf 'text\n"a"x"y\nnext\nlast\n' >quote.csv
job quote.yaml 'inputs: {path: quote.csv}' 'output: {path: "-"}' 'on_error: skip'
expect 4 '"row":2,' $program run quote.yaml

# A short line is answered while the pipe stays open
mkfifo pipe
$program fill-mask -m "$demo" - <pipe >answer.txt 2>/dev/null &
exec 3>pipe
printf 'a\n' >&3
wait_for answer.txt
cp answer.txt early.txt
exec 3>&-
wait
expect 0 '^a$' cat early.txt

# What the job reads is never replaced, whatever its name
printf '{"text":"hi <mask>"}\n' >src.jsonl
ln src.jsonl hard.jsonl
mkdir folder && cp "$demo"/* folder/ 2>/dev/null
job hard.yaml 'inputs: {path: src.jsonl}' 'output: {path: hard.jsonl, overwrite: true}'
expect 2 'hard.jsonl. is the input' $program run hard.yaml
job dots.yaml 'inputs: {path: src.jsonl}' 'output: {path: folder/../src.jsonl, overwrite: true}'
expect 2 'is the input' $program run dots.yaml
job weights.yaml 'task: forward' 'inputs: {path: src.jsonl}' 'output: {path: folder/model.safetensors, overwrite: true}'
expect 2 'in the model.s folder' $program run -m folder weights.yaml
expect 0 '^\{"text":"hi <mask>"\}$' cat src.jsonl

# A file cannot speak to the terminal
printf '"\033]0;x": 1\ninputs: {path: a}\n' >esc.yaml
expect 2 'esc.yaml' $program run esc.yaml
expect 0 'silent' sh -c "$program run esc.yaml 2>&1 | tr -cd '\\033' | grep -q . || echo silent"

# Devices that are not there, and a disk that is full
expect 5 'pocl-opencl-icd' env OCL_ICD_VENDORS=/dev/null/none $program fill-mask -m "$demo" x
expect 5 'ruled out by type' $program fill-mask -m "$demo" -d type=accelerator x
expect 2 'did you mean' $program fill-mask -m "$demo" -d plattform=x x
expect 6 'cannot write|No space' sh -c "$program run -q -s output.path=- good.yaml >/dev/full"

# A machine with nothing: no home, no path; the lane's driver stays
expect 0 'numpy' env -i OCL_ICD_VENDORS="$OCL_ICD_VENDORS" LSAN_OPTIONS="${LSAN_OPTIONS:-}" $program fill-mask -m "$demo" 'import <mask> as np'

# Tuning: a table is written shape by shape, gone on with, and used; what is wrong with one is said with its line
expect_at_last '[1-5] shapes measured, 0 kept' $program tune -m "$demo" --seconds 1 -o table.txt
expect_at_last '^done +0 shapes measured, 5 kept' $program tune -m "$demo" --seconds 1 -o table.txt
expect 0 '^oberta-tuning 1$' cat table.txt
cp table.txt first.txt
expect 0 '[|] gemm [|] 384 128 [|] [a-z]+ [|]' cat table.txt
expect 0 'done +0 shapes measured, 5 kept' $program tune -m "$demo" --seconds 3 -o table.txt
expect 0 '"state":"kept"' $program tune -m "$demo" --seconds 3 -o table.txt --json
expect 0 same sh -c 'grep -vxFf table.txt first.txt || echo same'
expect_at_last 'query, key, value: [a-z]' $program tune -m "$demo" --seconds 3 -o table.txt --force
expect 0 '^1$' sh -c "grep -c '384 128' table.txt"
expect 0 'oberta/tuning/tuned.txt' $program tune -m "$demo" --seconds 0.01
$program tune --shape roberta-base --seconds 600 -o stopped.txt 2>stopping.txt >/dev/null &
stopping=$!
wait_for stopping.txt '^device'
kill -INT $stopping
wait $stopping
expect 0 '^75$' echo $?
expect 0 'interrupted: [0-9] of 5 shapes' cat stopping.txt
nothing_left '*.txt.*'
expect 2 'not one of roberta-base' $program tune --shape bert
expect 2 'not a number above 0' $program tune -m "$demo" --seconds 0
expect 2 "'wgpu': not one of amx" $program tune -m "$demo" --gemm wgpu -o table.txt
printf 'for i in <mask>(10):\n' >one.txt
job tuned.yaml 'inputs: {path: one.txt}' 'output: {path: "-"}'
sed -E 's/[|] (tile|amx) [|]/| ref |/' table.txt >ref.txt
expect 0 'by ref.txt:[0-9]+' env OBERTA_TUNING=ref.txt $program run -vv tuned.yaml
sed -E 's/[|] (tile|amx) [|]/| warp |/' table.txt >warp.txt
expect 0 "not 'warp': this build does not know it" env OBERTA_TUNING=warp.txt $program run -v tuned.yaml
printf 'oberta-tuning 1\n# fine\na | b\n' >bad.txt
expect 2 'OBERTA_TUNING: bad.txt:3: 2 fields' env OBERTA_TUNING=bad.txt $program run tuned.yaml
expect 2 'bad.txt:3: 2 fields' env OBERTA_TUNING=bad.txt $program fill-mask -m "$demo" 'a <mask>'
expect 2 'bad.txt:3: 2 fields' $program tune -m "$demo" --seconds 3 -o bad.txt
expect 6 'OBERTA_TUNING: .*nothere.txt' env OBERTA_TUNING=nothere.txt $program run tuned.yaml
printf 'oberta-tuning 9\nwhatever\n' >later.txt
expect 0 'later.txt: ignored: it is of version 9' env OBERTA_TUNING=later.txt $program run tuned.yaml
expect 2 "another version's table" $program tune -m "$demo" --seconds 3 -o later.txt
mkdir -p config/oberta/tuning && cp bad.txt config/oberta/tuning/
expect 0 'warning: tuning: ignored: .*bad.txt:3' $program run tuned.yaml
cp ref.txt config/oberta/tuning/zz.txt
expect 0 'by .*zz.txt:[0-9]+' $program run -vv tuned.yaml
expect 0 '^0$' sh -c "OBERTA_TUNING=off $program run -vv tuned.yaml 2>&1 | grep -c 'zz.txt' | cat"
rm -r config

# Measuring: fields and refusals; no time is judged
expect 0 '^2x8 +[0-9.]+ ' $program bench -m "$demo" -w 2x8,1x16 --seconds 0
$program bench -m "$demo" -w 2x8,mixed --head fill-mask --seconds 0 --profile --trace trace.json --json >bench.json 2>err.txt
for field in device.usable model.hidden_size roof.gflops roof.gbytes_per_s results.workload results.tokens_per_s \
    results.sequences_per_s results.latency_ms results.gflops results.roof_gflops results.of_roof \
    results.first_run_ms results.load_ms results.build_ms results.peak_host_bytes results.device_bytes results.verified; do
    expect 0 "\"${field#*.}\":" cat bench.json
done
expect 0 '"workload":"2x8".*"verified":true' cat bench.json
expect 0 '"workload":"mixed".*"tokens":12185,.*"verified":true' cat bench.json
expect 0 '"kernel":"gemm' cat bench.json
expect 0 '"name":"gemm.*"ph":"X","ts":' cat trace.json
if command -v python3 >/dev/null; then
    expect 0 'read' python3 -c 'import json
results = json.load(open("bench.json"))["results"]
assert len(results) == 2
assert all(abs(r["of_roof"] - r["gflops"] / r["roof_gflops"]) < 0.001 for r in results)
assert len(json.load(open("trace.json"))["traceEvents"]) > 100
print("read")'
fi
expect 0 '^gemm [a-z0-9]+ 128x512, m 4096 .* %$' $program bench -m "$demo" -w 2x8 --seconds 0 --operators
expect 0 '"devices":\[' $program bench -m "$demo" -w 2x8 --seconds 0 -d '0;cpu' --json
expect 0 '"roof":null' $program bench -m "$demo" -w 2x8 --once --json --dump-hidden dump.safetensors
expect 0 'last_hidden_state.0.*last_hidden_state.1' sh -c 'head -c 500 dump.safetensors | tr -d "\0"'
expect 0 'random weights' $program bench --shape "$demo/config.json" -w 2x8 --once
expect 2 "workload '2y8': neither ROWSxTOKENS" $program bench -m "$demo" -w 2y8
expect 2 "at most 512" $program bench -m "$demo" -w 1x513
expect 2 "did you mean 'roberta-large'" $program bench --shape roberta-larg
expect 2 'not one of encoder, fill-mask, logits' $program bench -m "$demo" --head lm
expect 2 'not a number from 0' $program bench -m "$demo" --seconds soon
expect 2 'max-tokens' $program bench -m "$demo" --max-tokens 0
expect 2 'excludes --model' $program bench -m "$demo" --shape roberta-base
expect 2 'in the model.s folder' $program bench -m "$demo" --dump-hidden "$demo/x.safetensors"
expect 2 'no argument is taken' $program bench 2x8
nothing_left 'trace.json.*'

# Questions and entities
printf '{"id":1,"question":"What is it?","context":"The quick brown fox jumps."}\n{"question":"","context":"x"}\n{"question":"x"}\n' >questions.jsonl
job questions.yaml 'task: question-answering' 'inputs: {path: questions.jsonl}' 'on_error: skip'
qa="-m $data/goldens/qa/model -q questions.yaml"
expect 4 '^\{"row":0,"id":1,"score":0.29[0-9]*,"start":0,"end":9,"answer":"The quick"\}$' $program run $qa
expect 4 'question: is empty' $program run $qa
expect 4 'context: the field is missing' $program run $qa
expect 4 '"answer":"The quick","answers":\[\{' $program run -s question_answering.top_k=2 $qa
printf 'question\tcontext\nWhat is it?\tThe quick brown fox jumps.\n' >questions.tsv
expect 0 '"answer":"The quick"' $program run -s inputs.path=questions.tsv $qa
expect 3 'no question-answering head' $program run -q questions.yaml
expect 2 'max_seq_len: 65 is more than the 64' $program run -s question_answering.max_seq_len=65 $qa
job entities.yaml 'task: token-classification' 'inputs: {path: texts.txt}' 'token_classification: {aggregation_strategy: simple}'
tokens="-m $data/goldens/tokcls/model -q entities.yaml"
expect 0 '"entities":\[\{"entity_group":"PER","score":0.83594[0-9]*,"word":"I","start":0,"end":1\}' $program run $tokens
expect 0 '"entity":"B-PER","score":0.83594[0-9]*,"index":1,"word":"I"' $program run \
    -s token_classification.aggregation_strategy=none $tokens
expect 2 'stride: 62 leaves nothing new' $program run -s token_classification.stride=62 $tokens

# Other commands
expect 0 'usable' $program devices
expect 0 '"usable":true' $program devices --json
expect 0 '"input_ids":\[0,' $program tokenize -m "$demo" --json 'a b'
expect 0 '"text":' sh -c "echo '{\"ids\":[0,5,2]}' | $program tokenize -m $demo --decode"
tokenize() { # tokenize STATUS TEXT ROW [OPTION]: one row through --jsonl; quotes of the row are single ones
    printf '%s\n' "$3" | tr "'" '"' >row.jsonl
    expect "$1" "$2" sh -c "$program tokenize -m $demo ${4:---jsonl} <row.jsonl"
}
tokenize 0 '"overflow":\[\{"input_ids"' "{'text':'a b c d','options':{'truncation':true,'max_length':4,'return_overflowing_tokens':true}}"
tokenize 0 '^\{"batch":\[\{"input_ids":\[0,[0-9]+,2,1,1,1\]' "{'text':['a','b c d'],'options':{'padding':true,'pad_to_multiple_of':6}}"
tokenize 0 '"input_ids":\[1,1,0,[0-9]+,2\]' "{'text':'a','options':{'padding':'max_length','max_length':5,'padding_side':'left'}}"
tokenize 0 '"sequence_ids":\[null,0,null,null,null\]' "{'text':'a','text_pair':''}"
tokenize 4 'options.max_lenght: unknown; did you mean .max_length.' "{'text':'a','options':{'max_lenght':5}}"
tokenize 4 'options.stride: an integer between 0 and' "{'text':'a','options':{'stride':-1}}"
tokenize 4 'options.truncation: true, false' "{'text':'a','options':{'truncation':'middle'}}"
tokenize 4 'is no multiple of 8' "{'text':'a','options':{'truncation':true,'padding':true,'max_length':12,'pad_to_multiple_of':8}}"
tokenize 4 'a stride of 9 is more than' "{'text':'a b c d e f','options':{'truncation':true,'max_length':6,'stride':9}}"
tokenize 4 'more than 33554432 tokens' "{'text':'a','options':{'padding':'max_length','max_length':99999999999}}"
tokenize 4 'text_pair: a list of 2 strings' "{'text':['a','b'],'text_pair':['c']}"
tokenize 4 'ids\[1\]: an integer' "{'ids':[0,'x']}" --decode
mkdir tokenizer_only
cp "$data"/tokenizer/tokenizer_json/*.json tokenizer_only/
expect 0 '"tokens":\["<s>","a","</s>"\]' $program tokenize -m tokenizer_only --json a
sed 's/"type": *"BPE"/"type":"Unigram"/' tokenizer_only/tokenizer.json >changed.json
mv changed.json tokenizer_only/tokenizer.json
expect 3 "tokenizer.json: model: type: 'Unigram' is not a byte-level BPE" $program tokenize -m tokenizer_only --json a
expect 0 'max_tokens' $program init
$program init made.yaml 2>/dev/null && sed -i 's/texts.jsonl/rows.jsonl/; s/predictions.jsonl/made.jsonl/' made.yaml
expect 0 'done' $program run -m "$demo" made.yaml
expect 6 'exists already' $program init made.yaml
expect 0 'usage' $program run --help
expect 0 'oberta [0-9]' $program --version

echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
