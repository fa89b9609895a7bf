"""Exports as people have them, for docs/own-models.md: `python export.py GOOD BAD OUT` with PyTorch 1.13 and torchvision 0.14 (Debian's
python3-torch, python3-torchvision).

GOOD has pictures of good parts, BAD a folder of pictures for each kind of defect. OUT gets, trained for a minute on one thread each:
mobilenet.onnx (torchvision's MobileNetV2, a third of its width, 128 x 128) with labels.txt, embedder.onnx (the same without its last
layer), padim.onnx (PaDiM on its features, resizing and normalization inside, as anomalib exports it), autoencoder.onnx, and beside each its
weights for compare.py.
"""

import sys
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
import torchvision
from PIL import Image
from torch import nn

MEAN, STD = (torch.tensor(values).view(1, 3, 1, 1) for values in ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]))


def files(folder):
    return sorted(path for path in Path(folder).rglob("*") if path.suffix in (".jpg", ".png"))


def load(paths, side):
    resized = [np.asarray(Image.open(path).convert("RGB").resize((side, side), Image.BILINEAR)) for path in paths]
    return torch.tensor(np.stack(resized)).permute(0, 3, 1, 2).float() / 255


def mobilenet(classes):
    return torchvision.models.mobilenet_v2(num_classes=classes, width_mult=0.35)


class Autoencoder(nn.Module):
    def __init__(self):
        super().__init__()
        down, up = [3, 24, 32, 48, 16], [16, 48, 32, 24, 3]
        self.e = nn.Sequential(*[m for i in range(4) for m in (nn.Conv2d(down[i], down[i + 1], 4, 2, 1), nn.ReLU())])
        last = lambda i: nn.ReLU() if i < 3 else nn.Sigmoid()
        self.d = nn.Sequential(*[m for i in range(4) for m in (nn.ConvTranspose2d(up[i], up[i + 1], 4, 2, 1), last(i))])

    def forward(self, x):
        return self.d(self.e(x))


class Padim(nn.Module):
    """The Mahalanobis distance at each place (Defard et al. 2020), on two stages of a backbone."""

    def __init__(self, stages):
        super().__init__()
        self.stages = nn.ModuleList(stages)
        for name, value in {"image_mean": MEAN, "image_std": STD, "mean": torch.zeros(1), "inverse": torch.zeros(1), "unit": torch.ones(1)}.items():
            self.register_buffer(name, value)

    def features(self, x):
        x = (F.interpolate(x, size=(256, 256), mode="bilinear", align_corners=False) - self.image_mean) / self.image_std
        kept = []
        for at, stage in enumerate(self.stages):
            x = stage(x)
            if at in (3, 6):
                kept.append(x)
        return torch.cat([kept[0], F.interpolate(kept[1], size=kept[0].shape[2:], mode="nearest")], 1)

    def distances(self, x):
        f = self.features(x) - self.mean
        d = torch.einsum("nchw,hwcd->nhwd", f, self.inverse)
        d = (d * f.permute(0, 2, 3, 1)).sum(3).clamp_min(0).sqrt().unsqueeze(1)
        return F.interpolate(d, size=(256, 256), mode="bilinear", align_corners=False)

    def forward(self, x):
        anomaly_map = self.distances(x) / self.unit * 0.5
        score = anomaly_map.amax(dim=(1, 2, 3))
        return score, score >= 0.5, anomaly_map, anomaly_map >= 0.5

    def fit(self, pictures):
        with torch.no_grad():
            f = torch.cat([self.features(batch) for batch in pictures.split(8)])
            self.mean = f.mean(0, keepdim=True)
            d = (f - self.mean).permute(2, 3, 1, 0)
            covariance = d @ d.transpose(2, 3) / (len(f) - 1)
            self.inverse = torch.linalg.inv(covariance + 0.1 * d.pow(2).mean() * torch.eye(f.shape[1]))
            self.unit = torch.cat([self.distances(batch).amax(dim=(1, 2, 3)) for batch in pictures.split(4)]).max() * 1.1


def train_classifier(good, bad, out):
    kinds = sorted(path.name for path in Path(bad).iterdir() if path.is_dir())
    paths, labels = files(good), [0] * len(files(good))
    for label, kind in enumerate(kinds, 1):
        chosen = files(Path(bad) / kind)[:6]
        paths, labels = paths + chosen, labels + [label] * len(chosen)
    x, y = (load(paths, 128) - MEAN) / STD, torch.tensor(labels)
    model = mobilenet(1 + len(kinds)).train()
    optimizer = torch.optim.Adam(model.parameters(), 2e-3)
    weight = torch.tensor([0.3] + [1.0] * len(kinds))
    for _ in range(120):
        batch = torch.randint(len(x), (16,))
        loss = F.cross_entropy(model(x[batch]), y[batch], weight=weight)
        optimizer.zero_grad(), loss.backward(), optimizer.step()
    model.eval()
    open_batch = {"input": {0: "batch"}, "logits": {0: "batch"}}
    export(model, x[:1], out / "mobilenet.onnx", ["input"], ["logits"], open_batch)
    torch.save(model.state_dict(), out / "mobilenet.pt")
    (out / "labels.txt").write_text("\n".join(["good", *kinds]) + "\n")
    model.classifier = nn.Identity()
    export(model, x[:1], out / "embedder.onnx", ["input"], ["embedding"], {})
    return model


def train_autoencoder(good, out):
    x, model = load(files(good), 128), Autoencoder()
    optimizer = torch.optim.Adam(model.parameters(), 2e-3)
    for _ in range(700):
        batch = (x[torch.randint(len(x), (8,))] * (1 + 0.1 * (torch.rand(8, 1, 1, 1) - 0.5))).clamp(0, 1)
        loss = F.mse_loss(model(batch), batch)
        optimizer.zero_grad(), loss.backward(), optimizer.step()
    model.eval()
    export(model, x[:1], out / "autoencoder.onnx", ["image"], ["reconstruction"], {"image": {0: "n"}})
    torch.save(model.state_dict(), out / "autoencoder.pt")


def export(model, x, path, inputs, outputs, axes):
    torch.onnx.export(model, x, str(path), opset_version=14, input_names=inputs, output_names=outputs, dynamic_axes=axes)


def main(good, bad, out):
    torch.manual_seed(0), torch.set_num_threads(1)
    out = Path(out)
    out.mkdir(parents=True, exist_ok=True)
    backbone = train_classifier(good, bad, out)
    padim = Padim(list(backbone.features)[:7]).eval()
    padim.fit(load(files(good), 256))
    outputs = ["pred_score", "pred_label", "anomaly_map", "pred_mask"]
    export(padim, load(files(good)[:1], 256), out / "padim.onnx", ["input"], outputs, {"input": {0: "batch"}})
    torch.save(padim.state_dict(), out / "padim.pt")
    train_autoencoder(good, out)


if __name__ == "__main__":
    main(*sys.argv[1:4])
