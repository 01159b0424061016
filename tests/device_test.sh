#!/bin/bash
# device_test.sh - `ohmtrim device`: shows, fits, writes and reads devices; refuses what is wrong with the right status.
. "$(dirname "$0")/shell.sh"
verb=(device)
cd "$d"
# number NAME FIELD WANT TOLERANCE (relative): of the JSON line in ./out.  FIELD: name, name.I (I-th of an array, from 0), name@N (where
# the name stands for the N-th time, from 1)
number() {
    local k=${2%%[.@]*} got
    case $2 in
        *.*) got=$(grep -oE "\"$k\":\[[^]]*" out | cut -d[ -f2 | cut -d, -f$((${2#*.} + 1))) ;;
        *@*) got=$(grep -oE "\"$k\":[^],}]*" out | sed -n "${2#*@}p" | cut -d: -f2) ;;
        *)   got=$(grep -oE "\"$k\":[^],}]*" out | sed -n 1p | cut -d: -f2) ;;
    esac
    if awk -v a="$got" -v w="$3" -v t="$4" 'BEGIN {d = a - w; if (d < 0) d = -d; if (w < 0) w = -w; exit !(a != "" && d <= t * w)}'; then pass
    else fail "$1: $2 = '$got', want $3"; fi
}

good 'r1 is the default' '^device r1: SET 2.2 V 1000 ns through 150 uA'
good 'presets are listed' '^r2  SET 2.4 V' --list
good 'presets are listed as JSON' '^\{"name":"r3"' --list --json
good 'r1 as JSON' '"s_hrs":-7.67' --json --at -0.2,0,0.2
number 'g_lrs of r1' g_lrs 5.7992146e-5 0
number 'g_hrs of r1' g_hrs 8.1856972e-7 0
number 'first coefficient of LRS' poly_lrs.1 0.62187439 0
number 'last coefficient of HRS' poly_hrs.7 0.40070862 0
number 'LRS at -20 % (golden cycle)' g_lrs@2 3.0814676e-5 1.1e-4
number 'HRS at -20 % (golden cycle)' g_hrs@2 4.8225636e-6 1.3e-3
number 'HRS at +20 % is clipped' g_hrs@4 2.981028175024701e-07 0
number 'delta comes along' delta@3 0.2 0
good 'r2 warns of its tail' '^device r2' --preset r2
grep -q '577 cells in a million lie below delta = -0.156' err && pass || fail 'the warning of r2'
run --preset r2 -q && [ ! -s err ] && pass || fail 'r2 is quiet with -q'
run --preset r2 --sigma 0.016 && [ ! -s err ] && pass || fail 'r2 is quiet at a small sigma'
good 'r2 as JSON' '"cells_below_valid":0.00057' --preset r2 --json
good 'pulses are fitted' 'fitted in .* from 64 samples' --set-compliance 100 --reset-v -1.8 --name mine -o mine.json
good 'the file is read' '^device mine: SET 2.2 V 1000 ns through 100 uA, RESET -1.8 V' --device-model mine.json
good 'the file as JSON' '"name":"mine"' --device-model mine.json --json
number 'LRS of 100 uA (device-model 4.2)' g_lrs 32.7e-6 2e-3
number 'HRS of -1.8 V' g_hrs 0.581e-6 2e-3
number 'S of 100 uA' s_lrs 2.84 2e-3
number 'S of -1.8 V' s_hrs -6.79 2e-3
run --set-t 0.3 --at 0.1 --json -q && number 'the fit next to the model' model_lrs "$(grep -oE '"g_lrs":[^],}]*' out | sed -n 2p | cut -d: -f2)" 2e-4
good 'an access resistance in RESET' '"name":"custom"' --reset-v -1.8 --reset-r 1000 --json
number 'its HRS (device-model 9)' g_hrs 0.599e-6 2e-3
good 'a preset fitted anew' '"name":"r3"' --preset r3 --fit --json
number 'gives its S' s_lrs 2.791514 1e-5
number 'and its error' rel_error_hrs 0.00141459 1e-3
printf 'state,mean,sigma\nLRS,5e-5,5e-6\nHRS,1e-6,2e-7\n' >cells.csv
good 'a table is a device' '^device table: table cells.csv' --device-model cells.csv
run --device-model cells.csv -o table.json -q && good 'a table becomes a file' '"g_lrs":5e-05' --device-model table.json --json
if command -v gnuplot >/dev/null; then
    run --preset r2 --plot f.svg && grep -q '</svg>' f.svg && pass || fail 'a plot as svg'
    run --plot f.png && [ "$(head -c 4 f.png | tail -c 3)" = PNG ] && pass || fail 'a plot as png'
    bad 'a plot where nothing can be written' 4 'f.svg cannot be written' --plot no/such/f.svg
fi
bad 'a plot of another kind' 2 'want a name that ends in .svg or .png' --plot f.gif
bad 'an unknown preset' 2 "preset 'r9', want r1, r2 or r3" --preset r9
bad 'a file that is not there' 3 'none.json: No such file' --device-model none.json
echo '{"format": "ohmtrim-device", "version": 1, "gain": 2}' >bad.json
bad 'an unknown key' 3 "bad.json: the key 'gain' is not known" --device-model bad.json
head -c 200 mine.json >cut.json
bad 'a truncated file' 3 'cut.json: not JSON at byte' --device-model cut.json
printf 'state,mean,sigma\nLRS,nan,1e-6\n' >bad.csv
bad 'a NaN in a table' 3 "bad.csv: line 2: mean = 'nan', want a number" --device-model bad.csv
bad 'pulses that do not set' 2 'the nominal cell has' --set-v 1
bad 'a wrong number' 2 "--set-v = 'high'" --set-v high
bad 'a positive RESET' 2 '--reset-v' --reset-v 1.7
bad 'a wrong degree' 2 '--degree' --degree 5
bad 'delta that is no number' 2 "--at = 'x'" --at 0,x
bad 'resistor and transistor' 2 'exclude each other' --set-r 100 --set-compliance 100
bad 'a file and pulses' 2 'want it without' --device-model mine.json --set-v 2
bad 'a stray word' 2 "'r2' is not wanted here" r2
bad 'a folder that is not there' 4 'no/such.json' -o no/such.json
ls -A | grep -qE '\.tmp|such' && fail 'nothing is left half-written' || pass
finish
