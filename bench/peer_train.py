#!/usr/bin/python3
"""peer_train.py NPZ... [--rounds N] - the same training step in PyTorch: forward, cross-entropy, backward to all parameters, SGD with momentum
and weight decay, one minibatch.  NPZ is what `bench_train --export DIR` wrote: parameters, images, labels, and our gradients.  Before a time is taken,
PyTorch's gradient in double must equal the ref backend's (1e-6 of its norm); in float, where one ReLU of a million that switches moves a gradient by a
hundredth of its norm, ours may be off by 0.05, and both are printed.  One thread, CPU time, both memory layouts.  One JSON line a row."""
import json
import sys
import time

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F


def conv_norm(c_in, c_out, kernel, stride, groups=1):
    return [nn.Conv2d(c_in, c_out, kernel, stride, kernel // 2, groups=groups, bias=False), nn.BatchNorm2d(c_out)]


class Average(nn.Module):
    def forward(self, x):
        return x.mean((2, 3))


def lenet5(c, classes):
    return nn.Sequential(nn.Conv2d(c, 6, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(6, 16, 5), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(),
                         nn.Linear(400, 120), nn.ReLU(), nn.Linear(120, 84), nn.ReLU(), nn.Linear(84, classes))


def mobilenet_s(c, classes):
    layers = conv_norm(c, 8, 3, 2) + [nn.ReLU()]
    at = 8
    for out, stride in ((16, 1), (32, 2), (32, 1), (64, 2), (64, 1), (128, 2), (128, 1)):
        layers += conv_norm(at, at, 3, stride, at) + [nn.ReLU()] + conv_norm(at, out, 1, 1) + [nn.ReLU()]
        at = out
    return nn.Sequential(*layers, Average(), nn.Linear(at, classes))


class Block(nn.Module):
    def __init__(self, c_in, c_out):
        super().__init__()
        self.wider = c_out - c_in
        self.conv1, self.bn1 = conv_norm(c_in, c_out, 3, 2 if self.wider else 1)
        self.conv2, self.bn2 = conv_norm(c_out, c_out, 3, 1)

    def forward(self, x):
        y = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))
        if self.wider:
            x = F.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, self.wider // 2, self.wider // 2))
        return F.relu(y + x)


def resnet(n):
    def build(c, classes):
        widths = [16] * (n + 1) + [32] * n + [64] * n
        return nn.Sequential(*conv_norm(c, 16, 3, 1), nn.ReLU(), *[Block(a, b) for a, b in zip(widths, widths[1:])], Average(), nn.Linear(64, classes))

    return build


def vgg_s(c, classes):
    layers, at = [], c
    for out, pool in ((32, 1), (64, 1), (128, 0), (128, 1)):
        layers += conv_norm(at, out, 3, 1) + [nn.ReLU()] + [nn.MaxPool2d(2)] * pool
        at = out
    return nn.Sequential(*layers, Average(), nn.Linear(at, classes))


REF = 16  # images of the ref backend's gradient
NETS = {"lenet5": lenet5, "mobilenet-s": mobilenet_s, "resnet8": resnet(1), "resnet20": resnet(3), "vgg-s": vgg_s}


def fill(net, flat):
    """The flat vector of network.h: layer after layer weight, bias, gamma, beta - the order of PyTorch's parameters() for these networks."""
    at = 0
    with torch.no_grad():
        for p in net.parameters():
            p.copy_(torch.tensor(flat[at:at + p.numel()]).reshape(p.shape))
            at += p.numel()
    assert at == len(flat), (at, len(flat))


def filled(name, z, kind):
    net = NETS[name](z["images"].shape[1], 10).to(kind).train()
    fill(net, z["parameters"])
    return net


def off(a, b):
    return ((a.double() - b).norm() / b.norm()).item()


def gradient(net, x, labels):
    net.zero_grad()
    loss = F.cross_entropy(net(x), labels)
    loss.backward()
    return loss.item(), torch.cat([p.grad.flatten() for p in net.parameters()])


def main(paths, rounds):
    torch.set_num_threads(1)
    for path in paths:
        z = np.load(path)
        name = path.split("/")[-1][:-len(".npz")]
        images, labels = torch.tensor(z["images"]), torch.tensor(z["labels"]).long()
        double, ours = filled(name, z, torch.float64), torch.tensor(z["grad"]).double()
        few, (loss, grad) = REF, gradient(double, images.double(), labels)
        ref = off(ours[1], gradient(double, images[:few].double(), labels[:few])[1])
        float32 = [off(g, grad) for g in (ours[0], gradient(filled(name, z, torch.float32), images, labels)[1])]
        if not (ref < 1e-6 and float32[0] < 0.05 and abs(loss - z["loss"][0]) < 1e-5 * loss):
            sys.exit("peer_train: %s: our gradient is %g off (ref: %g), losses %g and %g" % (name, float32[0], ref, z["loss"][0], loss))
        nets, took = {}, {}
        for layout, form in (("default", torch.contiguous_format), ("channels_last", torch.channels_last)):
            net = filled(name, z, torch.float32).to(memory_format=form)
            nets[layout] = net, torch.optim.SGD(net.parameters(), lr=0.01, momentum=0.9, weight_decay=5e-4), images.contiguous(memory_format=form)
            took[layout] = []
        for i in range(rounds + 1):
            for layout, (net, sgd, x) in nets.items():
                start = time.process_time()
                for _ in range(4):
                    sgd.zero_grad(set_to_none=True)
                    F.cross_entropy(net(x), labels).backward()
                    sgd.step()
                if i:
                    took[layout].append((time.process_time() - start) / 4 / len(labels) * 1e6)
        for layout, us in took.items():
            us.sort()
            print(json.dumps({"bench": "peer_train", "network": name, "layout": layout, "minibatch": len(labels), "n": rounds, "off_ref_ours_theirs": [float("%.1e" % v) for v in [ref] + float32],
                              "us_an_image": round(us[len(us) // 2], 1), "least": round(us[0], 1), "most": round(us[-1], 1), "torch": torch.__version__}), flush=True)


if __name__ == "__main__":
    args = sys.argv[1:]
    rounds = 7
    if "--rounds" in args:
        i = args.index("--rounds")
        rounds = int(args[i + 1])
        del args[i:i + 2]
    main(args, rounds)
