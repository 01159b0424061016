#!/bin/bash
# eval_test.sh - `ohmtrim eval`: the same result however it is run; what does not fit is refused with the right status and one sentence.
. "$(dirname "$0")/shell.sh"
verb=(eval)
cd "$d"
same() { if cmp -s "$2" "$3"; then pass; else fail "$1"; fi; }
net=$top/models/lenet5.onnx

# A data set of 70 images of noise, in MNIST's format: images (n, 28, 28), labels.
idx() { # DIR N H W
    mkdir -p "$1"
    { printf '\0\0\10\3'; for v in "$2" "$3" "$4"; do printf "\\0\\0\\$(printf %o $((v / 256)))\\$(printf %o $((v % 256)))"; done
      awk -v n=$(($2 * $3 * $4)) 'BEGIN {x = 1; for (i = 0; i < n; i++) {x = x * 16807 % 2147483647; printf "%03o\n", int(x / 65536) % 256}}' |
          while read -r o; do printf "\\$o"; done; } >"$1/t10k-images-idx3-ubyte"
    { printf '\0\0\10\1\0\0\0'; printf "\\$(printf %o "$2")"; for ((i = 0; i < $2; i++)); do printf "\\$((i % 8))"; done; } >"$1/t10k-labels-idx1-ubyte"
}
idx noise 70 28 28
idx small 3 27 28
data="mnist:$d/noise"

# However it is run: threads, tile, with and without logits, backend.
run "$net" --data "$data" --json --threads 1 --logits one.npy -q && pass || fail 'eval runs'
want=$(field correct)
[ -n "$want" ] && [ "$(field images)" = 70 ] && grep -qE '^\{"network":"[^"]+","data":"mnist","images":70,"correct":[0-9]+,"accuracy":0\.[0-9]+,"backend":"[a-z]+",' out && pass || fail 'the fields of eval'
run "$net" --data "$data" --json --threads 3 --tile 16 -q && [ "$(field correct)" = "$want" ] && [ "$(field threads)" = 3 ] && pass || fail 'the same count on 3 threads'
run "$net" --data "$data" --threads 5 --tile 128 --logits many.npy -q && same 'the same logits on 5 threads' one.npy many.npy
run "$net" --data "$data" --threads 2 --tile 10 --logits a.npy -q && run "$net" --data "$data" --threads 7 --tile 10 --logits b.npy -q && same 'the same logits whatever the threads' a.npy b.npy
run "$net" --data "$data" --threads 1 --tile 17 --limit 40 --logits c.npy -q && [ "$(wc -c <c.npy)" = $((128 + 40 * 10 * 4)) ] && pass || fail '--limit limits'
run "$net" --data "$data" --backend ref --limit 20 --json -q && [ "$(field backend)" = '"ref"' ] && pass || fail 'ref runs'
good 'words for people' '^lenet5 on mnist: [0-9]+ of 70 right, accuracy 0\.[0-9]{4} \(' "$net" --data "$data"
grep -q '^backend ' err && pass || fail 'the backend is named'
run "$net" --data "$data" -q && [ ! -s err ] && pass || fail '-q is quiet'
good 'a dry run says what it would take' 'would run 70 images .* bytes a thread' "$net" --data "$data" --dry-run

# Chips and knobs.
good 'a chip' '"chip":17,"delta_sys":-?0\.[0-9]+' "$net" --data "$data" --chip 17 --json
good 'another sigma' '"delta_sys":0[,}]' "$net" --data "$data" --chip 17 --sigma 0 --json
relus=4
ones=$(for ((i = 0; i < relus; i++)); do printf '%s1' "$([ $i = 0 ] || echo ,)"; done)
zeros=${ones//1/0}
echo "{\"gain\":[$ones],\"offset\":[$zeros]}" >ones.json
if run "$net" --data "$data" --knobs ones.json --threads 1 --logits knobs.npy -q; then same 'knobs of 1 and 0 change nothing' one.npy knobs.npy; else fail 'knobs of 1 and 0'; fi
echo "{\"gain\":[${ones//1/2}],\"offset\":[$zeros]}" >twos.json
if run "$net" --data "$data" --knobs twos.json --threads 1 --logits knobs.npy -q && ! cmp -s one.npy knobs.npy; then pass; else fail 'knobs of 2 change something'; fi

# Bad input.
bad 'no network' 2 'want a network' --data "$data"
bad 'no data' 2 'want --data' "$net"
bad 'a missing network' 3 'no-such.onnx' no-such.onnx --data "$data"
bad 'a network that is none' 3 'noise/t10k' noise/t10k-images-idx3-ubyte --data "$data"
bad 'an unknown data set' 2 "data set 'nist'" "$net" --data nist
bad 'a data set that is not there' 3 'cifar10' "$net" --data "cifar10:$d"
bad 'images of another shape' 3 'images (1, 27, 28), network' "$net" --data "mnist:$d/small"
bad 'a backend that is not there' 4 "backend 'tpu'" "$net" --data "$data" --backend tpu
gpu=$("$cmd" doctor | sed -n 's/^  cuda  *//p')                   # "no: REASON", or the GPU
case $gpu in
'no: CUDA'*)                                                    # this build could use one
    bad 'a GPU that is not there' 4 'CUDA: ' "$net" --data "$data" --backend cuda
    run "$net" --data "$data" --backend auto && grep -q 'no GPU: using cpu' err && pass || fail 'auto goes on without a GPU and says so' ;;
no:*)
    bad 'a GPU in a build without CUDA' 4 "backend 'cuda' is not in this build" "$net" --data "$data" --backend cuda
    run "$net" --data "$data" --backend auto && ! grep -q 'no GPU' err && pass || fail 'auto in a build without CUDA' ;;
*)  good 'the GPU is taken' 'accuracy' "$net" --data "$data" --backend cuda
    run "$net" --data "$data" --backend auto && ! grep -q 'no GPU' err && pass || fail 'auto with a GPU' ;;
esac
bad '--chip that is no number' 2 "--chip = 'x'" "$net" --data "$data" --chip x
bad '--sigma without --chip' 2 'want --chip N too' "$net" --data "$data" --sigma 0.02
bad 'sigma outside the model' 2 "--sigma = '0.2'" "$net" --data "$data" --chip 1 --sigma 0.2
bad 'a device that is not there' 3 'no-such.json' "$net" --data "$data" --chip 1 --device-model no-such.json
bad 'no such knobs' 3 'no-such.json' "$net" --data "$data" --knobs no-such.json
echo '{"gain":[1],"offset":[0]}' >short.json
bad 'knobs of another network' 3 "'gain'" "$net" --data "$data" --knobs short.json
echo "{\"gain\":[${ones//1/0.001}],\"offset\":[$zeros]}" >weak.json
bad 'a gain below 1/64' 3 '1/64' "$net" --data "$data" --knobs weak.json
bad 'tile 0' 2 "--tile = '0'" "$net" --data "$data" --tile 0
bad 'an unknown convolution' 2 "--conv = 'fft'" "$net" --data "$data" --conv fft
bad 'too little memory' 4 '--memory = 10240 bytes' "$net" --data "$data" --memory 10K
bad 'logits that cannot be written' 4 'no-such-folder' "$net" --data "$data" --logits no-such-folder/x.npy
[ ! -e no-such-folder ] && pass || fail 'nothing is left behind'
truncate -s 5000 noise/t10k-images-idx3-ubyte
bad 'a truncated data set' 3 't10k-images-idx3-ubyte' "$net" --data "$data"

finish
