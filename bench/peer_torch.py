#!/usr/bin/python3
"""peer_torch.py [ROUNDS] - the same work in PyTorch: T-ReLU tuning of ResNet-20 (forward, cross-entropy, backward to the 2 x 19 knobs),
128 images of 3x32x32, one thread, both memory layouts.  One JSON line a layout, CPU microseconds an image.  Run it by
bench/compare_torch.sh."""
import json
import sys
import time

import torch
import torch.nn.functional as F

TILE, ROUNDS = 128, int(sys.argv[1]) if len(sys.argv) > 1 else 7


class TReLU(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.gain = torch.nn.Parameter(torch.ones(()))
        self.offset = torch.nn.Parameter(torch.zeros(()))

    def forward(self, x):
        return torch.relu((x - self.offset) * self.gain)


def conv(c_in, c_out, stride):
    return torch.nn.Conv2d(c_in, c_out, 3, stride, 1, bias=False)


class Block(torch.nn.Module):
    def __init__(self, c_in, c_out):
        super().__init__()
        self.wider = c_out - c_in
        self.conv1, self.bn1, self.relu1 = conv(c_in, c_out, 2 if self.wider else 1), torch.nn.BatchNorm2d(c_out), TReLU()
        self.conv2, self.bn2, self.relu2 = conv(c_out, c_out, 1), torch.nn.BatchNorm2d(c_out), TReLU()

    def forward(self, x):
        y = self.bn2(self.conv2(self.relu1(self.bn1(self.conv1(x)))))
        if self.wider:
            x = F.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, self.wider // 2, self.wider // 2))
        return self.relu2(y + x)


class ResNet20(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.stem, self.bn, self.relu = conv(3, 16, 1), torch.nn.BatchNorm2d(16), TReLU()
        widths = [16, 16, 16, 16, 32, 32, 32, 64, 64, 64]
        self.blocks = torch.nn.Sequential(*[Block(a, b) for a, b in zip(widths, widths[1:])])
        self.dense = torch.nn.Linear(64, 10)

    def forward(self, x):
        return self.dense(self.blocks(self.relu(self.bn(self.stem(x)))).mean((2, 3)))


def main():
    torch.set_num_threads(1)
    torch.manual_seed(1)
    for name, layout in (("default", torch.contiguous_format), ("channels_last", torch.channels_last)):
        net = ResNet20().eval().to(memory_format=layout)
        knobs = []
        for p in net.parameters():
            p.requires_grad_(False)
        for m in net.modules():
            if isinstance(m, TReLU):
                m.gain.requires_grad_(True)
                m.offset.requires_grad_(True)
                knobs += [m.gain, m.offset]
        x = torch.randn(TILE, 3, 32, 32).contiguous(memory_format=layout)
        label = torch.randint(0, 10, (TILE,))
        us = []
        for i in range(ROUNDS + 2):
            start = time.process_time()
            torch.autograd.grad(F.cross_entropy(net(x), label), knobs)
            if i >= 2:
                us.append((time.process_time() - start) / TILE * 1e6)
        us.sort()
        print(json.dumps({"bench": "peer_torch", "network": "resnet20", "what": "tune", "layout": name, "tile": TILE, "n": ROUNDS,
                          "median_us_per_image": round(us[len(us) // 2], 1), "min": round(us[0], 1), "torch": torch.__version__}), flush=True)


main()
