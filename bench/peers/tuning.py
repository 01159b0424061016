#!/usr/bin/env python3
"""tuning.py - T-ReLU tuning in PyTorch: Adam on the knobs of one chip, frozen weights, one epoch of CIFAR-sized images.

A step takes 128 images by a shuffled index from uint8 images that stay on the device, normalises them, runs forward, cross-entropy and
backward to the knobs, lets Adam (0.9, 0.999, 1e-8) move them and holds each gain at 1/64 or above.  An epoch is the whole minibatches of
the images: 390 of 50,000; the rest is left out, since a CUDA graph has one shape.

    run        eager; compile-REDUCE (torch.compile, reduce-overhead); compile-MAX (max-autotune); graph (a CUDA graph of the whole
               step); compile-graph (a graph of the step that max-autotune compiled)
    precision  fp32 (TF32 on a GPU); half: frozen weights and activations in fp16 (bf16 on a CPU), loss times 1024
    layout     nchw or nhwc (channels_last)
    norm       folded: batch norm's scale and shift inside the convolutions

Each variant first takes four steps.  Checked against eager float32 without TF32: loss and knob gradients of the first step, and the loss of
the fourth, which sees three updates.  TF32 and fp16 both carry 11 bits a product, bf16 8: hence the tolerances."""
import copy

import torch
import torch.nn.functional as F

import common
import networks

BATCH, LOSS_SCALE, GAIN_MIN = 128, 1024.0, 1 / 64
LEARNING_RATE = 0.01
# |gradients - reference| / |reference| over all knobs.  Seen on a CPU, mobilenet x 0.5: float32 2.2e-6, bfloat16 0.10, so 11 bits 0.013
TOLERANCE = {"exact": 1e-4, "11 bits": 0.05, "8 bits": 0.3}


class Tuner:
    """One copy of the network and what tunes it."""

    def __init__(self, net, images, labels, half, nhwc, folded, fused=False, in_graph=False):
        self.device = labels.device
        self.dtype = common.half(self.device)[0] if half else torch.float32
        self.scale = LOSS_SCALE if half else 1.0
        net = copy.deepcopy(net)
        self.net = (net.fold() if folded else net).freeze_as(self.dtype, nhwc)
        self.images = images.permute(0, 2, 3, 1).contiguous() if nhwc else images
        self.labels, self.nhwc = labels, nhwc
        self.knobs = list(self.net.parameters())
        self.gains = [gain.detach() for gain in self.net.gains()]
        how = {"fused": True} if fused else {"foreach": True}
        if in_graph:
            how["capturable"] = True
        self.adam = torch.optim.Adam(self.knobs, lr=LEARNING_RATE, betas=(0.9, 0.999), eps=1e-8, **how)
        self.loss_of = self.loss

    def loss(self, pixels, labels):
        x = pixels.permute(0, 3, 1, 2) if self.nhwc else pixels
        return F.cross_entropy(self.net(networks.normalised(x).to(self.dtype)).float(), labels) * self.scale

    def step(self, index):
        self.adam.zero_grad(set_to_none=True)
        loss = self.loss_of(self.images.index_select(0, index), self.labels.index_select(0, index))
        loss.backward()
        if self.scale != 1.0:
            torch._foreach_mul_([knob.grad for knob in self.knobs], 1 / self.scale)
        self.adam.step()
        if hasattr(torch, "_foreach_clamp_min_"):
            torch._foreach_clamp_min_(self.gains, GAIN_MIN)
        else:
            for gain in self.gains:
                gain.clamp_(min=GAIN_MIN)
        return loss.detach()

    def restart(self):
        """Knobs and Adam as at the start, in place: a captured graph goes on using them."""
        for gain in self.knobs[0::2]:
            gain.data.fill_(1)
        for offset in self.knobs[1::2]:
            offset.data.zero_()
        for state in self.adam.state.values():
            for value in state.values():
                value.zero_()

    def first_steps(self, step, indices):
        """Losses of steps with these indices, and the knob gradients of the first."""
        self.restart()
        losses, gradients = [], None
        for index in indices:
            losses.append(float(step(index)) / self.scale)
            if gradients is None:
                gradients = torch.stack([knob.grad.detach().clone() for knob in self.knobs])
        return losses, gradients


def graphed(tuner, index):
    """A step that replays one CUDA graph."""
    held = index.clone()
    graph, loss = common.captured(lambda: tuner.step(held))

    def step(index):
        held.copy_(index)
        graph.replay()
        return loss

    return step


COMPILED = {"compile-REDUCE": "reduce-overhead", "compile-MAX": "max-autotune", "compile-graph": "max-autotune-no-cudagraphs"}


def prepare(net, images, labels, run, half, nhwc, folded, indices):
    """The tuner and its step of a variant, made ready."""
    cuda = labels.device.type == "cuda"
    in_graph = run in ("graph", "compile-graph")
    if in_graph:
        common.need_cuda(labels.device)
    tuner = Tuner(net, images, labels, half, nhwc, folded, fused=cuda, in_graph=in_graph)
    if run in COMPILED:
        tuner.loss_of = common.compiled(tuner.loss, COMPILED[run])
    return tuner, graphed(tuner, indices[0]) if in_graph else tuner.step


def check(got, want, tolerance):
    """Raises Unequal unless the first steps agree; losses may differ by the tolerance of the gradients, as a fraction."""
    (losses, gradients), (losses_0, gradients_0) = got, want
    off = float((gradients - gradients_0).norm() / gradients_0.norm())
    if not off <= tolerance:
        raise common.Unequal("knob gradients off by %.2g of their norm, want %g" % (off, tolerance))
    for i in (0, len(losses) - 1):
        if not abs(losses[i] - losses_0[i]) <= tolerance * losses_0[i]:
            raise common.Unequal("loss %d is %.6g, want %.6g within %g" % (i + 1, losses[i], losses_0[i], tolerance))
    return off


def main():
    p = common.parser(__doc__)
    networks.add_options(p)
    p.add_argument("--images", type=int, metavar="N", help="images of an epoch (50,000; 512 with --small)")
    options = common.start(p)
    options.network = options.network or ("tiny" if options.small else "mobilenet")
    n, device = options.images or (512 if options.small else 50000), options.device
    net = networks.open_network(options, device)
    images = networks.random_images(n, net.image, device)
    labels = torch.randint(0, 10, (n,), device=device)
    indices = torch.randperm(n, device=device)[:4 * BATCH].reshape(4, BATCH)
    with common.tf32(False):
        plain = Tuner(net, images, labels, half=False, nhwc=False, folded=False)
        reference = plain.first_steps(plain.step, indices)

    def variant(run, half, nhwc, folded):
        def build():
            tuner, step = prepare(net, images, labels, run, half, nhwc, folded, indices)
            bits = "exact" if device.type == "cpu" and not half else "8 bits" if tuner.dtype == torch.bfloat16 else "11 bits"
            step(indices[0])                                # compiles; makes Adam's state
            check(tuner.first_steps(step, indices), reference, TOLERANCE[bits])

            def epoch():
                for index in torch.randperm(n, device=device)[:n // BATCH * BATCH].reshape(-1, BATCH):
                    step(index)
            return epoch

        name = [run, common.half(device)[1] if half else "fp32", "nhwc" if nhwc else "nchw"]
        return " ".join(name + ["folded"] * folded), build

    variants = common.in_order(variant, ["graph", "eager"], ["compile-graph", "compile-REDUCE", "compile-MAX"])
    shape = "%s x %g, %d images, minibatch %d" % (options.network, options.width, n // BATCH * BATCH, BATCH)
    common.finish(common.compare(options, "peer_tuning", shape, "images/s", n // BATCH * BATCH, variants))


if __name__ == "__main__":
    main()
