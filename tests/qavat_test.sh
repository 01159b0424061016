#!/bin/bash
# qavat_test.sh - `ohmtrim train` with bits and noise, `eval --noise`, `tune --tuner self-tuning`: what they print, that files keep it, bad input.
. "$(dirname "$0")/shell.sh"
cd "$d"
data="npz:$here/tune/tiny.npz" net=$here/tune/tiny.onnx
quick=(--data "$data" --epochs 2 --minibatch 20 --lr 0.01 --threads 1 -q)

run train "$net" "${quick[@]}" --weight-bits 3 --activation-bits 4 --noise fixed:0.1,0.1 --samples 2 -o q.onnx
check 'QAVAT trains' '[ $rc = 0 ] && [ -s q.onnx ] && [ "$(grep -c "^epoch" out)" = 2 ]'
run train "$net" "${quick[@]}" --weight-bits 3 --activation-bits 4 --noise fixed:0.1,0.1 --samples 2 -o again.onnx
check 'it repeats itself' 'cmp -s q.onnx again.onnx'
run train "$net" "${quick[@]}" --weight-bits 3 --activation-bits 4 --noise proportional:0.1,0.1 --samples 2 -o other.onnx
check 'another noise, another network' '[ $rc = 0 ] && ! cmp -s q.onnx other.onnx'
run eval q.onnx --data "$data" --json -q; want=$(field correct)
run eval q.onnx --data "$data" --json -q --backend ref
check 'the file computes the quantised network on any backend' '[ -n "$want" ] && [ "$(field correct)" -ge $((want - 2)) ] && [ "$(field correct)" -le $((want + 2)) ]'
run info q.onnx --json
check 'the file says how many bits a chip wants' '[ $rc = 0 ] && [ "$(field bits)" = 2 ]'
run train q.onnx "${quick[@]}" --epochs 1 -o more.onnx
check 'a quantised file is trained further' '[ $rc = 0 ]'
run train "$net" "${quick[@]}" --weight-bits 4 --activation-bits 8 --post-training -o ptq.onnx
check 'quantised after training' '[ $rc = 0 ] && ! cmp -s ptq.onnx q.onnx'
run train "$net" "${quick[@]}" --noise device --sigma 0.03 --bits 4 -o device.onnx
check 'chips of a device as noise' '[ $rc = 0 ] && [ -s device.onnx ]'

# Accuracy over chips of noise.
run eval q.onnx --data "$data" --noise fixed:0.2,0.2 --samples 6 --json -q --threads 1; cp out one.json; a=$(field accuracy)
run eval q.onnx --data "$data" --noise fixed:0.2,0.2 --samples 6 --json -q --threads 3
check 'the same on threads' '[ $rc = 0 ] && [ -n "$a" ] && [ "$(field accuracy)" = "$a" ] && [ "$(field samples)" = 6 ] && [ "$(field gtm_cells)" = 0 ]'
run eval q.onnx --data "$data" --noise fixed:0.2,0.2 --samples 6 --self-tuning ltm:100,2 --json -q
check 'self-tuned, with its costs' '[ $rc = 0 ] && [ "$(field ltm_columns)" = 2 ] && grep -q "\"macs_tuning\":.*\"weights_tuning\":" out && [ "$(field accuracy)" != "$a" ]'
run eval q.onnx --data "$data" --noise proportional:0 --samples 3 --self-tuning gtm:5 --json -q
check 'no noise, no change' '[ "$(field sd)" = 0 ] && [ "$(field estimate_error)" = 0 ]'
run eval q.onnx --data "$data" --noise fixed:0.1 --samples 3 -q --self-tuning gtm:50
check 'words for people' 'grep -q "3 chips of fixed noise, 0.1 within and 0 between them: accuracy" out && grep -q "self-tuned: 50 cells a chip" out && grep -q "more multiply-accumulates" out'

# A chip of the device model corrects itself.
run tune "$net" --data "$data" --chip 3 --sigma 0.08 --tuner self-tuning,closed-form --json
check 'the tuner self-tuning' '[ $rc = 0 ] && [ "$(grep -c accuracy_after out)" = 2 ] && grep self-tuning out | grep -q "\"estimate\":.*\"macs\":.*\"macs_tuning\":1000.*\"weights_tuning\":1000" && ! grep closed-form out | grep -q macs'
run tune "$net" --data "$data" --chip 3 --sigma 0.08 --tuner self-tuning-ltm --ltm-columns 2 --gtm-cells 50 -q
check 'its columns' '[ $rc = 0 ] && grep -A1 "^self-tuning-ltm" out | grep -q "50 cells say that weights are .* off, 2 columns a layer; .* % more multiply-accumulates an image, .* % more cells"'
bad 'no columns' 2 "--ltm-columns = '0', want a whole number 1..65536" tune "$net" --data "$data" --tuner self-tuning-ltm --ltm-columns 0
run tune "$net" --data "$data" --chip 3 --sigma 0.08 --tuner closed-form --json -q; b=$(field accuracy_after)
check 'leaves the chip as it was' '[ -n "$b" ] && run tune "$net" --data "$data" --chip 3 --sigma 0.08 --tuner self-tuning,closed-form --json -q && [ "$(grep closed-form out | grep -oE "\"accuracy_after\":[^,]*" | cut -d: -f2)" = "$b" ]'

# One chip has no interval.
run eval q.onnx --data "$data" --noise fixed:0.1 --samples 1 -q
check 'one chip of noise' '[ $rc = 0 ] && grep -q "1 chip of fixed noise" out && ! grep -q nan out'
bad 'memory for a chip of noise' 4 '--memory = 1024 bytes' eval q.onnx --data "$data" --noise fixed:0.1 --memory 1K
bad 'memory for training' 4 '--memory allows 0.0 MB' train "$net" "${quick[@]}" --memory 1K -o x.onnx
run eval q.onnx --data "$data" --chip 1
check 'bits that a file asks for are said' '[ $rc = 0 ] && grep -q "q.onnx asks for weights of 2 bits, drawn with 16 (--bits 2)" err'

# Bad input.
bad 'more cells than fit an int' 2 "--self-tuning = 'gtm:4294967297'" eval "$net" --data "$data" --noise fixed:0.1 --self-tuning gtm:4294967297
bad 'more columns than fit an int' 2 "--self-tuning = 'ltm:10,4294967297'" eval "$net" --data "$data" --noise fixed:0.1 --self-tuning ltm:10,4294967297
bad 'the usual number of samples of nothing' 2 'want --noise too' eval "$net" --data "$data" --samples 100
bad 'samples of no noise' 2 '--samples are of noise' train "$net" "${quick[@]}" --samples 2 -o x.onnx
bad 'a range of nothing' 2 'want --activation-bits too' train "$net" "${quick[@]}" --weight-bits 4 --range least -o x.onnx
bad 'an estimator of floats' 2 'want --weight-bits too' train "$net" "${quick[@]}" --weight-ste clipped -o x.onnx
bad 'an estimator of float activations' 2 'want --activation-bits too' train "$net" "${quick[@]}" --activation-ste inside -o x.onnx
bad 'bits of chips that are not drawn' 2 '--bits is of simulated chips, want --noise device too' train "$net" "${quick[@]}" --bits 4 -o x.onnx
bad 'a device that is not used' 2 '--device-model is of simulated chips' train "$net" "${quick[@]}" --device-model r2 -o x.onnx
bad 'after training, and before' 2 'want it without --quantise-after' train "$net" "${quick[@]}" --weight-bits 4 --post-training --quantise-after 1 -o x.onnx
bad 'too few bits' 2 "--weight-bits = '1', want a whole number 2..8" train "$net" "${quick[@]}" --weight-bits 1 -o x.onnx
bad 'too many bits' 2 "--activation-bits = '9', want a whole number 2..8" train "$net" "${quick[@]}" --activation-bits 9 -o x.onnx
bad 'noise below 0' 2 "--noise = 'fixed:-0.1'" train "$net" "${quick[@]}" --noise fixed:-0.1 -o x.onnx
bad 'noise of no model' 2 "want proportional:SW or fixed:SW" train "$net" "${quick[@]}" --noise gauss:0.1 -o x.onnx
bad 'half a noise' 2 "--noise = 'fixed:0.1,'" eval "$net" --data "$data" --noise fixed:0.1,
bad 'samples of nothing' 2 'want --noise too' eval "$net" --data "$data" --samples 5
bad 'tuning of nothing' 2 'want --noise too' eval "$net" --data "$data" --self-tuning gtm:5
bad 'a module without cells' 2 "--self-tuning = 'ltm:0,1'" eval "$net" --data "$data" --noise fixed:0.1 --self-tuning ltm:0,1
bad 'a module without columns' 2 "--self-tuning = 'ltm:10'" eval "$net" --data "$data" --noise fixed:0.1 --self-tuning ltm:10
bad 'noise and a chip' 2 'not with --chip' eval "$net" --data "$data" --noise fixed:0.1 --chip 3
bad 'when to quantise what' 2 'want --weight-bits or --activation-bits too' train "$net" "${quick[@]}" --post-training -o x.onnx
bad 'later than the end' 2 'quantise_after = 3 epochs, want 0..2' train "$net" "${quick[@]}" --weight-bits 4 --quantise-after 3 -o x.onnx
bad 'an estimator that is none' 2 "--weight-ste = 'round', want clipped, identity or inside" train "$net" "${quick[@]}" --weight-bits 4 --weight-ste round -o x.onnx
bad 'a device that is none' 3 'nosuch' train "$net" "${quick[@]}" --noise device --device-model nosuch.json -o x.onnx
run train "$net" "${quick[@]}" --weight-bits 4 --checkpoint c.npz -o x.onnx
bad 'a checkpoint of other bits' 3 "it has 'bits: weights 4 identity" train "$net" "${quick[@]}" --weight-bits 3 --checkpoint c.npz -o y.onnx
bad 'a checkpoint of another network' 3 'is the checkpoint of another run' train q.onnx "${quick[@]}" --weight-bits 4 --checkpoint c.npz -o y.onnx
check 'nothing is left where a run failed' '[ ! -e y.onnx ]'
finish
