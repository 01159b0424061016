#!/usr/bin/env python3
"""exhaustive.py - the exhaustive test of many chips in PyTorch: every chip's weights drawn, every image run, right answers counted.

    run     eager; compile-REDUCE, compile-MAX (torch.compile, reduce-overhead and max-autotune): a loop over chips and batches;
            graph: one CUDA graph of a chip's whole pass over the images; compile-graph: the same of the compiled network;
            vmap, vmap-compile: several chips at once, torch.func.functional_call under vmap over stacked weights
    then    precision, layout and norm as in tuning.py

Images lie normalised on the device, once for all chips.  --weights says where weights come from: `expand` (the default: drawn by
expand.py, compiled where that is possible) or `given` (sets drawn beforehand, so that a row is the test alone).

A label is what the ideal network answers, so that counts mean something.  Checked on as many chips
as vmap takes: each variant's counts against eager float32 without TF32.  Images on which the two best outputs are closer than the variant's rounding
(a fraction of the largest output, below) may go either way; all others must be counted alike, so in float32 counts are equal."""
import copy

import torch

import common
import expand
import networks

# A margin moves by twice an output's error.  Largest error seen, of the largest output: float32 2.4e-6, bfloat16 0.027 (tiny, mobilenet, vgg16
# on a CPU), 11 bits an eighth of that.  Twice the margin's error:
TIE = {"exact": 1e-5, "11 bits": 0.015, "8 bits": 0.1}


class Exam:
    """One copy of the network with all images and labels: count(weights) of a chip is a tensor on the device."""

    def __init__(self, net, images, labels, batch, dtype, nhwc, folded):
        net = copy.deepcopy(net)
        self.net = (net.fold() if folded else net).freeze_as(dtype, nhwc)
        x = networks.normalised(images).to(dtype)
        x = x.contiguous(memory_format=torch.channels_last) if nhwc else x
        self.batches = list(zip(x.split(batch), labels.split(batch)))
        self.forward = self.net

    def count_held(self):
        """Right answers of the chip whose weights the network holds."""
        return torch.stack([(self.forward(x).argmax(1) == label).sum() for x, label in self.batches]).sum()

    def count(self, chips):
        """The counts of chips, given their weights."""
        counts = []
        for weights in chips:
            self.net.set_weights(weights)
            counts.append(self.count_held())
        return torch.stack(counts)


class GraphExam(Exam):
    def capture(self):
        common.need_cuda(self.batches[0][0].device)
        self.graph, self.total = common.captured(self.count_held)

    def count(self, chips):
        counts = []
        for weights in chips:
            self.net.set_weights(weights)
            self.graph.replay()
            counts.append(self.total.clone())
        return torch.stack(counts)


class VmapExam(Exam):
    def batched(self):
        """The network over (chip, image): weights stacked over chips, images shared."""
        if not hasattr(torch, "func"):
            raise common.Skip("torch.func came with PyTorch 2.0")
        names = [name for name, _ in self.net.crossbars()]

        def one(weights, x):
            return torch.func.functional_call(self.net, dict(zip(names, weights)), (x,))
        self.forward = torch.func.vmap(one, in_dims=(0, None))

    def count(self, chips):
        stacked = [torch.stack(w) for w in zip(*(self.net.held(weights) for weights in chips))]
        return torch.stack([(self.forward(stacked, x).argmax(2) == label).sum(1) for x, label in self.batches]).sum(0)


COMPILED = {"compile-REDUCE": "reduce-overhead", "compile-MAX": "max-autotune", "compile-graph": "max-autotune-no-cudagraphs",
            "vmap-compile": "default"}


def prepare(run, *arguments):
    kind = VmapExam if run.startswith("vmap") else GraphExam if run.endswith("graph") else Exam
    exam = kind(*arguments)
    if kind is VmapExam:
        exam.batched()
    if run in COMPILED:
        exam.forward = common.compiled(exam.forward, COMPILED[run])
    if kind is GraphExam:
        exam.capture()
    return exam


def reference(net, chips, images, labels):
    """Counts in eager float32, and for each chip its images' margins: best output less the next, as a fraction of the largest."""
    exam, counts, margins = Exam(net, images, labels, 250, torch.float32, False, False), [], []
    for weights in chips:
        exam.net.set_weights(weights)
        outputs = torch.cat([exam.net(x) for x, _ in exam.batches])
        best = outputs.topk(2, 1).values
        counts.append(int((outputs.argmax(1) == labels).sum()))
        margins.append((best[:, 0] - best[:, 1]) / outputs.abs().max())
    return counts, margins


def check(counts, want, tie):
    for chip, (count, right, margins) in enumerate(zip(counts.tolist(), *want)):
        ties = int((margins < tie).sum())
        if abs(count - right) > ties:
            raise common.Unequal("chip %d has %d right answers, want %d; %d images are tied within %g" % (chip, count, right, ties, tie))


def chip_weights(ideal, chip, expand_some, chunk):
    m = expand.make_map(expand.delta_sys(chip), ideal.q.device)
    return expand.in_layers(expand.in_chunks(expand_some, ideal, m, chunk), ideal)


def main():
    p = common.parser(__doc__)
    networks.add_options(p)
    p.add_argument("--chips", type=int, metavar="N", help="chips a run (8; 4 with --small)")
    p.add_argument("--images", type=int, metavar="N", help="test images (10,000; 256 with --small)")
    p.add_argument("--batch", type=int, default=1000, metavar="N", help="images at once (1,000)")
    p.add_argument("--vmap-chips", type=int, default=4, metavar="N", help="chips at once under vmap (4), each with --batch / N images")
    p.add_argument("--weights", choices=["expand", "given"], default="expand", help="where weights come from (expand)")
    options = common.start(p)
    options.network = options.network or ("tiny" if options.small else "mobilenet")
    device, small = options.device, options.small
    n_chips, n, together = options.chips or (4 if small else 8), options.images or (256 if small else 10000), options.vmap_chips
    if n_chips % together:
        p.error("--chips %d is no multiple of --vmap-chips %d" % (n_chips, together))
    net = networks.open_network(options, device)
    ideal = expand.quantise(net.weights())
    images = networks.random_images(n, net.image, device)
    with torch.no_grad(), common.tf32(False):
        labels = torch.cat([net(networks.normalised(x)).argmax(1) for x in images.split(256)])
        known = [chip_weights(ideal, chip, expand.expand, 1 << 20) for chip in range(max(8, together))]
        want = reference(net, known[:together], images, labels)
    how = "compile" if hasattr(torch, "compile") and device.type == "cuda" else "eager"
    expand_some = expand.EXPANDERS[how](device)

    def weights_of(chip):
        return known[chip % len(known)] if options.weights == "given" else chip_weights(ideal, chip, expand_some, 1 << 22)

    def variant(run, half, nhwc, folded):
        def build():
            dtype = common.half(device)[0] if half else torch.float32
            at_once = together if run.startswith("vmap") else 1
            exact = device.type == "cpu" and not half
            with torch.no_grad():
                exam = prepare(run, net, images, labels, max(1, options.batch // at_once), dtype, nhwc, folded)
                counts = torch.cat([exam.count(known[first:first + at_once]) for first in range(0, together, at_once)])
            check(counts, want, TIE["exact" if exact else "8 bits" if dtype == torch.bfloat16 else "11 bits"])

            @torch.no_grad()
            def all_chips():
                for first in range(0, n_chips, at_once):
                    exam.count([weights_of(chip) for chip in range(first, first + at_once)])
            return all_chips

        name = [run, common.half(device)[1] if half else "fp32", "nhwc" if nhwc else "nchw"]
        return " ".join(name + ["folded"] * folded), build

    variants = common.in_order(variant, ["graph", "eager", "vmap"], ["compile-graph", "compile-REDUCE", "vmap-compile", "compile-MAX"])
    shape = "%s x %g, %d chips x %d images, weights: %s" % (options.network, options.width, n_chips, n,
                                                           how if options.weights == "expand" else "given")
    common.finish(common.compare(options, "peer_exhaustive", shape, "images/s", n_chips * n, variants))


if __name__ == "__main__":
    main()
