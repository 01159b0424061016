"""common.py - what the PyTorch peers share: options, checking before timing, interleaved timing, and rows.

A peer gives `compare` a list of variants, pairs (name, build).  build() makes the variant ready, proves its result against the plain
one and returns a function that does the work once; it raises Unequal where the results differ and Skip where this PyTorch or machine
has no such thing.  Only what is built and proven is timed: one run of each to warm up, then rounds A B C A B C, so that a machine
that slows down slows all of them.  One JSON line a variant goes to stdout, and to DIR/peers.jsonl with --out DIR; a variant without a time
gets a row too, with the reason in "failed".

Exit status: 0 when something was timed and nothing was unequal, else 1."""
import argparse
import importlib
import itertools
import json
import os
import platform
import subprocess
import sys
import time

import numpy as np
import torch


class Skip(Exception):
    """This variant needs what is not here."""


class Unequal(Exception):
    """This variant's results differ from the plain one's by more than the tolerance stated."""


def parser(text):
    """The options every peer has; it adds its own."""
    p = argparse.ArgumentParser(description=text.split("\n", 1)[0])
    p.add_argument("--out", metavar="DIR", help="append the rows to DIR/peers.jsonl")
    p.add_argument("--small", action="store_true", help="sizes that a CPU does in seconds")
    p.add_argument("--budget", type=float, default=480, metavar="SECONDS", help="add no variant when 70 %% of this is used (480)")
    p.add_argument("--repeats", type=int, metavar="N", help="times each variant is timed (7; 3 with --small)")
    p.add_argument("--only", metavar="A,B+C", help="variants whose name has one of these words, comma-separated; a+b wants both")
    p.add_argument("--commit", metavar="ID", help="what the rows call this commit, for a copy without its git folder")
    p.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu", help="cuda or cpu (cuda where there is one)")
    return p


def start(p):
    """Parses, and sets PyTorch as one who wants speed would: TF32 and cuDNN's search for the fastest algorithm."""
    options = p.parse_args()
    options.begin = time.monotonic()
    options.repeats = options.repeats or (3 if options.small else 7)
    options.device = torch.device(options.device)
    torch.backends.cuda.matmul.allow_tf32 = True
    torch.backends.cudnn.allow_tf32 = True
    torch.backends.cudnn.benchmark = True
    torch.manual_seed(1)
    return options


class tf32:
    """Within it products of float32 round their factors to TF32, or not.  Plain calls look at it, and so do compiled ones."""

    def __init__(self, on):
        self.on = on

    def __enter__(self):
        self.kept = torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32
        torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = self.on

    def __exit__(self, *why):
        torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32 = self.kept


def compiled(function, mode):
    """torch.compile in this mode, whole or not at all; Skip where PyTorch is too old."""
    if not hasattr(torch, "compile"):
        raise Skip("torch.compile came with PyTorch 2.0")
    config = importlib.import_module("torch._dynamo").config
    for limit in ("recompile_limit", "cache_size_limit"):        # newer, older name: many variants compile one function, and past
        if hasattr(config, limit):                               # the limit (8) the rest would run eagerly without a word
            setattr(config, limit, 128)
    return torch.compile(function, mode=mode, dynamic=False, fullgraph=True)


def half(device):
    """The 16-bit type of this device and its name."""
    return (torch.float16, "fp16") if device.type == "cuda" else (torch.bfloat16, "bf16")


def need_cuda(device, what="CUDA graphs"):
    if device.type != "cuda":
        raise Skip("%s need a GPU" % what)


def captured(work, warm_ups=3):
    """A CUDA graph of work(), and what work() returned: tensors that each replay fills anew."""
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        for _ in range(warm_ups):
            work()
    torch.cuda.current_stream().wait_stream(stream)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        out = work()
    return graph, out


def sync(device):
    if device.type == "cuda":
        torch.cuda.synchronize()


def _words(command):
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True, cwd=os.path.dirname(os.path.abspath(__file__))).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return ""


def machine(options):
    """What every row says of where and with what it was taken."""
    device = options.device
    head = _words(["git", "rev-parse", "--short", "HEAD"])
    flags = ["tf32 on, cudnn.benchmark on"]
    if device.type == "cuda":
        name = torch.cuda.get_device_name()
        flags += ["CUDA %s" % torch.version.cuda, "cuDNN %s" % torch.backends.cudnn.version()]
        seen = _words(["nvidia-smi", "--query-gpu=driver_version,clocks.sm", "--format=csv,noheader"])
        flags += ["driver, SM clock: %s" % seen.split("\n")[0]] if seen else []
    else:
        name = "%s CPU" % platform.machine()
        flags = ["%d threads" % torch.get_num_threads()]
    head += "-dirty" if _words(["git", "status", "--porcelain", "-uno"]) else ""
    return {"device": name, "torch": torch.__version__, "commit": options.commit or head or "unknown", "flags": "; ".join(flags)}


def _wanted(name, only):
    words = name.replace(",", "").split()
    return not only or any(all(word in words for word in some.split("+")) for some in only.split(","))


def _say(row, options):
    line = json.dumps(row)
    print(line, flush=True)
    if options.out:
        os.makedirs(options.out, exist_ok=True)
        with open(os.path.join(options.out, "peers.jsonl"), "a") as f:
            f.write(line + "\n")


def compare(options, bench, shape, unit, amount, variants):
    """Builds, checks, times; `amount` of `unit`s is what one run of the work does, so a row's value is in units a second.  Returns
    the rows of what was timed and whether nothing was unequal."""
    where, ready, equal = machine(options), [], True

    def failed(name, reason):
        reason = " ".join(str(reason).split())[:300]
        print("%s: %s is left out: %s" % (bench, name, reason), file=sys.stderr)
        _say({"bench": bench, "variant": name, "shape": shape, "failed": reason, **where}, options)

    for name, build in variants:
        if not _wanted(name, options.only):
            continue
        if time.monotonic() - options.begin > 0.7 * options.budget:
            failed(name, "the budget of %g s is used" % options.budget)
            continue
        try:
            work = build()
            work()
            sync(options.device)
            ready.append((name, work, []))
        except Unequal as e:
            equal = False
            failed(name, "unequal: %s" % e)
        except Skip as e:
            failed(name, e)
        except Exception as e:                      # a compiler or a library that gives up must not take the other rows with it
            failed(name, "%s: %s" % (type(e).__name__, e))
    for done in range(options.repeats):
        if done >= 3 and time.monotonic() - options.begin > options.budget:
            break
        for _, work, seconds in ready:
            sync(options.device)
            begin = time.perf_counter()
            work()
            sync(options.device)
            seconds.append(time.perf_counter() - begin)
    rows = []
    for name, _, seconds in ready:
        median, p10, p90 = (float("%.6g" % np.percentile(seconds, at)) for at in (50, 10, 90))
        rows.append({"bench": bench, "variant": name, "shape": shape, "median_s": median, "p10_s": p10, "p90_s": p90,
                     "min_s": float("%.6g" % min(seconds)), "n": len(seconds), "unit": unit, "value": float("%.6g" % (amount / median)),
                     "checked": True, **where})
        _say(rows[-1], options)
    if rows:
        best = max(rows, key=lambda row: row["value"])
        print("%s: best is %s, %.4g %s" % (bench, best["variant"], best["value"], unit), file=sys.stderr)
    return rows, equal


def in_order(variant, quick, slow):
    """variant(run, half, nhwc, folded) for every run and way, so that a budget that ends early costs least: runs that are ready at once,
    then those that compile for minutes, the likely best way first."""
    ways = list(itertools.product([True, False], repeat=3))
    return [variant(run, *way) for run in quick for way in ways] + [variant(run, *way) for way in ways for run in slow]


def finish(*results):
    """The exit status, from what each call of compare gave."""
    sys.exit(0 if all(rows and equal for rows, equal in results) else 1)
