"""Golden vectors of bundles that `lineside bundle new` made of export.py's networks, beside PyTorch on the same inputs:
`python compare.py OUT BUNDLES`, where BUNDLES has the bundles mobilenet, embedder, padim, autoencoder."""

import sys
from pathlib import Path

import numpy as np
import torch
from export import Autoencoder, Padim, mobilenet
from torch import nn


def main(out, bundles):
    out, bundles = Path(out), Path(bundles)
    weights = torch.load(out / "mobilenet.pt")
    classifier = mobilenet(len(weights["classifier.1.bias"])).eval()
    classifier.load_state_dict(weights)
    embedder = mobilenet(len(weights["classifier.1.bias"])).eval()
    embedder.load_state_dict(weights)
    embedder.classifier = nn.Identity()
    padim = Padim(list(embedder.features)[:7]).eval()
    for name, value in torch.load(out / "padim.pt").items():
        target, attribute = (padim.get_submodule(name.rpartition(".")[0]), name.rpartition(".")[2])
        setattr(target, attribute, nn.Parameter(value, requires_grad=False) if attribute in ("weight", "bias") and target is not padim else value)
    autoencoder = Autoencoder().eval()
    autoencoder.load_state_dict(torch.load(out / "autoencoder.pt"))
    for name, model in {"mobilenet": classifier, "embedder": embedder, "padim": padim, "autoencoder": autoencoder}.items():
        for path in sorted((bundles / name / "golden").glob("*.input.npy")):
            expected = np.load(str(path).replace("input", "output-0"))
            with torch.no_grad():
                given = model(torch.tensor(np.load(path)))
            given = (given[0] if isinstance(given, tuple) else given).numpy()
            largest = np.abs(given).max()
            print(f"{name} {path.name}: largest difference {np.abs(given - expected).max():.2e}, largest value {largest:.4g}")


if __name__ == "__main__":
    main(*sys.argv[1:3])
