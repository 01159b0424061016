#!/bin/bash
# model_recipes_test.sh - models/*.yaml parse and build their networks; --config's keys; tools/get-data; no file of the repository above 4 MB.
. "$(dirname "$0")/shell.sh"
cd "$(dirname "$0")/.."
run() { (cd "$d" && "$@") >"$d/out" 2>"$d/err"; rc=$?; }

# ---- recipes: a dry run needs no data ----
for y in models/*.yaml; do
    name=$(basename "$y" .yaml)
    net=$(sed -n 's/^network: *//p' "$y") word=''
    case $net in *.onnx) check "$y: models/$(basename "$net" .onnx).yaml makes its network" "[ -e 'models/$(basename "$net" .onnx).yaml' ]"; net=snn-s word=$net ;; esac
    run "$cmd" train ${word:+"$net"} --config "$top/$y" --dry-run
    check "$y" "[ $rc = 0 ] && grep -qF '$net: ' '$d/out'"
    check "$y writes $name.onnx" "grep -qx 'output: $name.onnx' '$y'"
    check "$y stands in models/README.md" "grep -qF '\`$name.yaml\`' models/README.md"
done
for o in models/*.onnx; do
    check "$o has its recipe" "[ -e '${o%.onnx}.yaml' ]"
done
run "$cmd" train --list
check 'the list has a line a network' "[ $rc = 0 ] && [ \$(grep -c '^resnet18 \|^vgg11 \|^vgg16 \|^vgg16-3 \|^vgg16-3-512 ' '$d/out') = 5 ] && grep -q '@WIDTH' '$d/out'"
run "$cmd" train vgg16@0.25 --data cifar100 --dry-run -q
check 'classes are those of the data, said to be there or not' "[ $rc = 0 ] && grep -q '^vgg16@0.25: 935796 parameters; 10 epochs of 390 ' '$d/out'"
run "$cmd" train lenet5 --data "cifar10" --limit 640 --dry-run -q
check 'a limit counts' "[ $rc = 0 ] && grep -q '62006 parameters; 10 epochs of 5 ' '$d/out'"
run "$cmd" info resnet18 --data cifar100
check 'the layer table of a built-in network' "[ $rc = 0 ] && [ \$(grep -c ' conv  ' '$d/out') = 20 ] && grep -q '128,16,16  *8192  *2097152 ' '$d/out' && grep -q '11210432 weights in 21 layers.* 5.555e+08 MACs' '$d/out'"
bad 'which wants the images it is for' 2 'resnet18@0.5 is a built-in network: --data is wanted' "$cmd" info resnet18@0.5
bad 'of a set that is known' 2 "data set 'cifar11', want mnist" "$cmd" info resnet18@0.5 --data cifar11
bad 'what is no built-in network is a file' 3 'resnet19' "$cmd" info resnet19 --data cifar10
bad 'a folder that is given must be there' 3 'nowhere' "$cmd" train lenet5 --data "cifar10:$d/nowhere" --dry-run
bad 'a width out of range' 2 "'mobilenet@9': a width of 9, want 0.01..8" "$cmd" train mobilenet@9 --data cifar10 --dry-run -q
bad 'a width that is none' 2 "'mobilenet@half': a width of 'half', want a number such as 0.25" "$cmd" train mobilenet@half --data cifar10 --dry-run -q

# ---- --config ----
c=$d/c.yaml
config() { printf "$1" >"$c"; }
config 'network: resnet8\ndata: cifar10\nepochs: 3\nweight_bits: 4\npost_training: yes\nlist: no\n'
run "$cmd" train --config "$c" --dry-run -q
check 'options of the verb, flags among them' "[ $rc = 0 ] && grep -q '^resnet8: .* 3 epochs' '$d/out'"
run "$cmd" train --config "$c" --epochs 5 resnet20 --dry-run -q
check 'the command line wins, options and network' "[ $rc = 0 ] && grep -q '^resnet20: .* 5 epochs' '$d/out'"
config 'network: resnet8\ndata: cifar10\npost_training: yes\n'
bad 'what is wrong together is refused from a file too' 2 'want --weight-bits' "$cmd" train --config "$c" --dry-run
config 'network: resnet8\nepoch: 3\n'
bad 'a key that is none' 3 'line 2: Unexpected key: epoch' "$cmd" train --config "$c" --dry-run
config 'network: resnet8\ndata: cifar10\npost_training: maybe\n'
bad 'a flag that is neither yes nor no' 3 "post_training = 'maybe', want yes or no" "$cmd" train --config "$c" --dry-run
config 'network: resnet8\ndata: cifar10\nlr: fast\n'
bad 'two recipes' 2 'want one file' "$cmd" train --config "$c" --config "$c" --dry-run
bad 'a value that is none' 3 "c.yaml: --lr = 'fast', want a number" "$cmd" train --config "$c" --dry-run
config 'dry_run: yes\n'
bad 'options of one run are no keys' 3 'Unexpected key: dry_run' "$cmd" train --config "$c"
config 'epochs: 3\n'
bad 'keys are those of the verb' 3 'Unexpected key: epochs' "$cmd" info models/lenet5.onnx --config "$c"
bad 'a file that is not there' 3 'nosuch.yaml' "$cmd" train --config nosuch.yaml
config 'data: cifar10\n'
bad 'no network' 2 'a network is wanted' "$cmd" train --config "$c" --dry-run

# ---- get-data ----
get=$top/tools/get-data
bad 'a set that is none' 2 "'cifar11', want mnist, fashion-mnist, cifar10, cifar100 or a recipe: lenet5" "$get" cifar11
bad 'a folder that is not there' 3 'nowhere: no such folder' "$get" -f nowhere mnist
mkdir "$d/empty" "$d/bin"
bad 'a folder without the set' 3 'want cifar-10-binary.tar.gz or data_batch_1.bin in it' "$get" -f "$d/empty" cifar10
for tool in curl wget; do printf '#!/bin/sh\necho "%s: no route to host" >&2\nexit 6\n' $tool >"$d/bin/$tool"; done
chmod +x "$d"/bin/*
for set in cifar100 mnist; do
    run env PATH="$d/bin:$PATH" "$get" -d got $set
    check "$set without a network is one sentence" "[ $rc = 3 ] && grep -q 'cannot be fetched (curl: no route to host); without a network give the folder' '$d/err' && [ \$(wc -l <'$d/err') = 1 ]"
done
echo broken >"$d/empty/cifar-100-binary.tar.gz"
run "$get" -d got -f "$d/empty" cifar100
check 'an archive with another sum is not unpacked' "[ $rc = 3 ] && grep -q 'want 58a81ae1' '$d/err' && [ -z \"\$(ls '$d/got/cifar-100-binary')\" ]"
mkdir "$d/bad"; echo broken | gzip >"$d/bad/train-images-idx3-ubyte.gz"
run "$get" -d got -f "$d/bad" mnist
check 'a file with another sum is named' "[ $rc = 3 ] && grep -q 'got/mnist/train-images-idx3-ubyte.gz: sha256 .* want ba891046' '$d/err'"
if [ -e /usr/share/datasets/fashion-mnist ]; then
    run "$get" -d got fashion-mnist
    check "Debian's Fashion-MNIST" "[ $rc = 0 ] && cmp -s '$d/got/fashion-mnist/t10k-labels-idx1-ubyte.gz' /usr/share/datasets/fashion-mnist/t10k-labels-idx1-ubyte.gz"
    run "$get" -d got fashion-mnist
    check 'what is there stays' "[ $rc = 0 ] && grep -q 'already' '$d/out'"
else skip 'Fashion-MNIST: dataset-fashion-mnist is not here' 2; fi
# networks: the command that is run, by a stand-in for ohmtrim
printf '#!/bin/sh\necho "$@" >>%s/calls\nwhile [ $# -gt 1 ]; do [ "$1" != -o ] || touch "$2"; shift; done\n' "$d" >"$d/bin/ohmtrim"; chmod +x "$d/bin/ohmtrim"
run env OHMTRIM="$d/bin/ohmtrim" "$get" -d got snn-s
check 'a network of two recipes is trained by both' "[ $rc = 0 ] && [ \"\$(cut -d' ' -f3 '$d/calls' | paste -sd' ')\" = '$top/models/snn-s-1.yaml $top/models/snn-s.yaml' ]"
check 'with a checkpoint, into the folder' "grep -q -- '--checkpoint snn-s.npz -o snn-s.onnx' '$d/calls' && [ -e '$d/got/snn-s.onnx' ]"

# ---- sizes ----
if git rev-parse --is-inside-work-tree >/dev/null 2>&1; then
    large=$(git ls-files -z | xargs -0 -r stat -c '%s %n' 2>/dev/null | awk '$1 > 4000000 {print $2}')
    check "no file above 4 MB: $large" "[ -z '$large' ]"
else skip 'sizes of files: not a git checkout'; fi
finish
