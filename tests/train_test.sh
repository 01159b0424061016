#!/bin/bash
# train_test.sh - `ohmtrim train` on a tiny set made here: output, threads, Ctrl-C and resume, bad input.
. "$(dirname "$0")/shell.sh"
verb=(train)
cd "$(dirname "$0")/.."

# A set in mnist's files: 60 + 20 images of bytes that differ, and one in cifar10's files.
images() { { printf '\0\0\10\3\0\0\0'"$1"'\0\0\0\34\0\0\0\34'; head -c $(($2 * 784)) "$cmd"; } | gzip -1 >"$3"; }
labels() { { printf '\0\0\10\1\0\0\0'"$1"; for ((i = 0; i < $2; i += 10)); do printf '\0\1\2\3\4\5\6\7\10\11'; done; } | gzip -1 >"$3"; }
m=$d/mnist; mkdir "$m" "$d/cifar"
images '\74' 60 "$m/train-images-idx3-ubyte.gz"; labels '\74' 60 "$m/train-labels-idx1-ubyte.gz"
images '\24' 20 "$m/t10k-images-idx3-ubyte.gz"; labels '\24' 20 "$m/t10k-labels-idx1-ubyte.gz"
for i in data_batch_{1..5} test_batch; do head -c $((3073 * 4)) /dev/zero >"$d/cifar/$i.bin"; done
set="mnist:$m"

run --list
check 'the list has the networks' "[ $rc = 0 ] && grep -q '^mobilenet-s ' '$d/out' && grep -q '^lenet5 ' '$d/out'"
run lenet5 --data "$set" --epochs 2 --minibatch 20 -o "$d/a.onnx"
check 'one line an epoch, then the file' "[ $rc = 0 ] && [ \$(grep -c '^epoch ' '$d/out') = 2 ] && grep -q 'written: lenet5, 61706 parameters' '$d/out' && [ -s '$d/a.onnx' ]"
run lenet5 --data "$set" --epochs 2 --minibatch 20 -o "$d/b.onnx" --threads 1 --json
check 'threads change nothing' "[ $rc = 0 ] && cmp -s '$d/a.onnx' '$d/b.onnx'"
check 'JSON: an object an epoch and a last one' "[ \$(grep -c '^{.*}$' '$d/out') = 3 ] && [ \$(wc -l <'$d/out') = 3 ] && grep -q '\"test_accuracy\":.*\"seconds\":' '$d/out'"
run lenet5 --data "$set" --epochs 2 --minibatch 20 -o "$d/b.onnx" --seed 2
check 'another seed, another network' "[ $rc = 0 ] && ! cmp -s '$d/a.onnx' '$d/b.onnx'"
run "$d/a.onnx" --data "$set" --epochs 1 --minibatch 17 --optimizer adam --schedule step:0.5,1 --augment crop:2,flip --label-smoothing 0.1 -o "$d/b.onnx"
check 'a file is trained further, with minibatches of 17' "[ $rc = 0 ] && ! cmp -s '$d/a.onnx' '$d/b.onnx'"
run mobilenet-s --data "$set" --epochs 1 --minibatch 1 --lr 0.001 --limit 10 -o "$d/b.onnx"
check 'minibatches of one image' "[ $rc = 0 ]"
run lenet5 --data "$set" --epochs 2 --minibatch 20 --policy 'COS k1=0.05 l=100%' -o "$d/b.onnx"
check 'the default schedule by its other name gives the same bytes' "[ $rc = 0 ] && cmp -s '$d/a.onnx' '$d/b.onnx'"
cp "$d/a.onnx" "$d/last.onnx"
for how in 'sgd --momentum 0' momentum adam; do
    run lenet5 --data "$set" --epochs 2 --minibatch 20 --policy 'FIX(k0=0.002)@1ep, TRI2(k0=0.0005 k1=0.002 l=10%)' --optimizer $how -o "$d/b.onnx"
    check "a composite policy trains with $how" "[ $rc = 0 ] && ! cmp -s '$d/last.onnx' '$d/b.onnx' && grep -q 'epoch   1 .* lr 0.002\$' '$d/out'"
    cp "$d/b.onnx" "$d/last.onnx"
done
run lenet5 --data "$set" --dry-run
check 'a dry run says what would be done' "[ $rc = 0 ] && grep -q '61706 parameters; 10 epochs' '$d/out'"

# Ctrl-C somewhere in the middle, then the same command again; against a run that nobody stopped.
long=(lenet5 --data "$set" --epochs 60 --minibatch 6 --augment flip)
run "${long[@]}" -o "$d/whole.onnx"
check 'a longer run' "[ $rc = 0 ]"
rc=1
for pause in 0.2 0.4 0.8 1.6 3.2 6.4 12.8; do
    "$cmd" train "${long[@]}" --checkpoint "$d/c.npz" -o "$d/again.onnx" >"$d/out" 2>"$d/err" & pid=$!
    { sleep $pause; kill -INT $pid; } 2>/dev/null & timer=$!
    wait $pid; rc=$?
    kill $timer 2>/dev/null; wait $timer 2>/dev/null
    [ $rc = 0 ] && break
    [ $rc = 1 ] && grep -q 'goes on from' "$d/err" || break
    stopped=1
done
check 'stopped by Ctrl-C it goes on to the same bytes' "[ $rc = 0 ] && [ '${stopped-}' = 1 ] && cmp -s '$d/whole.onnx' '$d/again.onnx'"
bad 'a checkpoint of another run' 3 "it has 'lr: 0.05" "${long[@]}" --lr 0.02 --checkpoint "$d/c.npz" -o "$d/b.onnx"

# Bad input: refused before any training.
bad 'an unknown network' 2 "'lenet6' is not a built-in network; there are lenet5" lenet6 --data "$set" -o "$d/x.onnx"
bad 'a file that is not there' 3 'nosuch.onnx' nosuch.onnx --data "$set" -o "$d/x.onnx"
bad 'data that does not fit the network' 3 'cifar10' "$d/a.onnx" --data "cifar10:$d/cifar" -o "$d/x.onnx"
bad 'pixels that are all the same' 3 'channel 0' resnet8 --data "cifar10:$d/cifar" -o "$d/x.onnx"
bad 'data that is not there' 3 'nowhere' lenet5 --data "mnist:$d/nowhere" -o "$d/x.onnx"
bad 'an output folder that is not there' 4 'cannot be written' lenet5 --data "$set" -o "$d/no/such/x.onnx"
bad 'an output that is a folder' 4 'cannot be written' lenet5 --data "$set" -o "$d/cifar"
bad 'a checkpoint folder that is not there' 4 'cannot be written' lenet5 --data "$set" -o "$d/x.onnx" --checkpoint "$d/no/c.npz"
bad 'an output without a name' 2 "'' cannot be written" lenet5 --data "$set" -o ''
bad 'an output that is the checkpoint' 2 'want two files' lenet5 --data "$set" -o "$d/x.onnx" --checkpoint "$d/x.onnx"
bad 'momentum of adam' 2 '--momentum is of sgd' lenet5 --data "$set" --optimizer adam --momentum 0.9 -o "$d/x.onnx"
bad 'a crop that fits no int' 2 'want crop:N, flip or both' lenet5 --data "$set" --augment crop:4294967298 -o "$d/x.onnx"
bad 'a step that fits no int' 2 'want cosine, fixed or step' lenet5 --data "$set" --schedule step:0.1,4294967298 -o "$d/x.onnx"
run lenet5 --data "$set" --dry-run --json
check 'a dry run speaks JSON' "[ $rc = 0 ] && [ \$(field parameters) -gt 1000 ] && [ \$(field bytes_a_shard) -gt 1000 ]"
bad 'a minibatch larger than the set' 2 'minibatch = 61' lenet5 --data "$set" --minibatch 61 -o "$d/x.onnx"
bad 'shards that do not divide it' 2 'does not divide' lenet5 --data "$set" --minibatch 20 --shards 3 -o "$d/x.onnx"
bad 'no data' 2 'data is wanted' lenet5 -o "$d/x.onnx"
bad 'no output' 2 'OUT.onnx is wanted' lenet5 --data "$set"
bad 'no network' 2 'a network is wanted' --data "$set" -o "$d/x.onnx"
bad 'two networks' 2 'one network only' lenet5 resnet8 --data "$set" -o "$d/x.onnx"
bad 'a wrong augmentation' 2 'want crop:N, flip or both' lenet5 --data "$set" --augment crop:2,spin -o "$d/x.onnx"
bad 'a wrong schedule' 2 'want cosine, fixed or step' lenet5 --data "$set" --schedule step:1 -o "$d/x.onnx"
bad 'a policy of another name' 2 "'COZ' is not a policy, want COS" lenet5 --data "$set" --policy 'COZ k1=1 l=3' -o "$d/x.onnx"
bad 'a policy and a schedule' 2 'want it without --lr and --schedule' lenet5 --data "$set" --policy 'FIX k0=0.1' --schedule fixed -o "$d/x.onnx"
bad 'a policy whose lengths do not rise' 2 'NSTEP: l 2 is at 3 after 5' lenet5 --data "$set" --minibatch 20 --epochs 2 --policy 'NSTEP k0=0.1 gamma=0.1 l=[5,1ep]' -o "$d/x.onnx"
bad 'an optimiser that is not known' 2 'want adam, sgd or momentum' lenet5 --data "$set" --optimizer lion -o "$d/x.onnx"
bad 'a learning rate of nan' 2 'lr' lenet5 --data "$set" --lr nan -o "$d/x.onnx"
bad 'a learning rate that explodes' 3 'try a smaller one' lenet5 --data "$set" --lr 100 --momentum 0.99 --weight-decay 1 --schedule fixed --minibatch 6 --epochs 50 -o "$d/x.onnx"
check 'nothing is left where a run failed' "[ ! -e '$d/x.onnx' ] && [ -z \"\$(ls '$d' | grep try)\" ]"
"$cmd" tune "$d/a.onnx" --data "$set" --tuner closed-form,bn-stats >"$d/out" 2>"$d/err"; rc=$?
check 'a tuner that the network does not suit is refused before the others' "[ $rc = 3 ] && grep -q 'wants batch norm apart from the weights' '$d/err' && [ ! -s '$d/out' ]"
finish
