#!/bin/bash
# network_test.sh - `ohmtrim import` and `ohmtrim info`: metadata written and read back, the same layers, refusals with the right status.
. "$(dirname "$0")/shell.sh"
golden=$here/golden/trelu/model.onnx
cd "$d"

good 'info counts weights and MACs' '^on the chip: 5648 weights in 7 layers, 180736 cells at 16 bits; 3.694e\+05 MACs' info "$golden"
good 'info as JSON' '"crossbars":7,"weights":5648,"cells":180736,"macs":369392,"relus":6,"knobs":12' info "$golden" --json
good 'cells follow --bits' '"bits":6,"parameters":5834,"crossbars":7,"weights":5648,"cells":67776' info "$golden" --json --bits 6
good 'import writes metadata' '^wrote a.onnx: 23 layers, 5648 weights in 7 crossbar layers, 6 ReLU layers, 10 classes' \
    import "$golden" -o a.onnx --mean 0.5,0.25,0.125 --std 0.5 --bits 6 --classes a,b,c,d,e,f,g,h,i,j
good 'metadata is read back' '"mean":\[0.5,0.25,0.125\],"std":\[0.5,0.5,0.5\],"class_names":\["a","b",.*"j"\],"bits":6' info a.onnx --json
good 'the written network has the same layers' '"layers":23,"crossbars":7,"relus":6,"weights":5648,"classes":10' import a.onnx -o b.onnx --json
good 'a second import of what was written loses nothing' . info a.onnx --json
"$cmd" info b.onnx --json >out_b 2>err; sed 's/a\.onnx/X/' out >out_a; sed -i 's/b\.onnx/X/' out_b
if cmp -s out_a out_b; then pass; else fail 'import of an imported file changes what info says'; fi
good 'a dry run writes nothing' '^would write c.onnx' import "$golden" -o c.onnx --dry-run
[ ! -e c.onnx ] && pass || fail 'a dry run wrote c.onnx'
good 'help shows an example' 'ohmtrim import resnet20.onnx -o r20.onnx' import --help

bad 'no network' 2 'want a network' info
bad 'no output' 2 'want -o' import "$golden"
bad 'two networks' 2 'one word too many' info "$golden" "$golden"
bad 'a mean of words' 2 "--mean = 'half', want numbers" import "$golden" -o d.onnx --mean half
bad 'two means for three channels' 2 'has 2 numbers, want 3' import "$golden" -o d.onnx --mean 1,2
bad 'a mean of NaN' 2 "--mean = 'nan'" import "$golden" -o d.onnx --mean nan
bad 'a standard deviation of 0' 2 'input std[0] = 0, want a positive number' import "$golden" -o d.onnx --std 0
bad 'too few class names' 2 '2 class names, want 10' import "$golden" -o d.onnx --classes a,b
bad 'a missing file' 3 'nowhere.onnx' info nowhere.onnx
echo 'not a network' >text.onnx
bad 'a text file' 3 'text.onnx: ' info text.onnx
: >empty.onnx
bad 'an empty file' 3 'empty.onnx: ' info empty.onnx
head -c 3000 "$golden" >cut.onnx
bad 'a truncated file' 3 'cut.onnx: ' info cut.onnx
bad 'a folder' 3 "$here" info "$here"
bad 'a folder that is not there' 4 'no/such/d.onnx' import "$golden" -o no/such/d.onnx
[ ! -e d.onnx ] && pass || fail 'a refused import left d.onnx behind'

# another reader's checker, where there is one
py=/usr/bin/python3
if $py -c 'import onnx' 2>/dev/null; then
    if $py - a.onnx b.onnx >out 2>err <<'P'
import sys, onnx
for f in sys.argv[1:]:
    m = onnx.load(f); onnx.checker.check_model(m, full_check=True)
    props = {p.key: p.value for p in m.metadata_props}
    assert props['ohmtrim.bits'] == '6' and props['ohmtrim.mean'] == '0.5,0.25,0.125', props
    assert m.graph.input[0].type.tensor_type.shape.dim[0].dim_param, 'the batch is open'
P
    then pass; else fail "onnx's own checker"; fi
else skip "onnx's own checker: python3-onnx is not installed"; fi

# a chip with knobs is written as plain operators and reads back
if "$cmd" help | grep -q '^  chip '; then
    echo '{"gain":[1,2,1,1,0.5,1],"offset":[0,0.25,0,0,0,-0.5]}' >knobs.json
    good 'a tuned chip is written' . chip a.onnx 3 --onnx chip.onnx --knobs knobs.json
    good 'and read back' '"weights":5648' info chip.onnx --json
    if $py -c 'import onnx' 2>/dev/null; then
        if $py -c 'import onnx; m = onnx.load("chip.onnx"); onnx.checker.check_model(m, full_check=True); n = [x.op_type for x in m.graph.node]; assert n.count("Sub") == 3 and n.count("Mul") == 3, n' >out 2>err
        then pass; else fail 'three T-ReLUs are Sub, Mul, Relu'; fi
    else skip 'the nodes of a tuned chip: python3-onnx is not installed'; fi
fi
finish
