"""What a USB camera in poor light does to a picture: its lens blurs, its sensor adds noise, JPEG leaves blocks."""

import io

import numpy as np
from PIL import Image, ImageFilter

SEED = 7


class Camera:
    """Reduces as `superres_pictures.bicubic` does, with another blur, noise and quality each time, from one seed on."""

    def __init__(self, seed=SEED):
        self.rng = np.random.default_rng(seed)

    def __call__(self, high, scale):
        blurred = high.filter(ImageFilter.GaussianBlur(scale * self.rng.uniform(0.2, 0.8)))
        low = blurred.resize((high.width // scale, high.height // scale), Image.BICUBIC)
        return self.compressed(self.exposed(low))

    def exposed(self, image):
        """With noise of the sensor: that of photons, which grows with the light, and that of reading out."""
        light = np.asarray(image, np.float32)
        photons, reading = self.rng.uniform(0, 8), self.rng.uniform(0, 6)
        deviation = np.sqrt(photons**2 * light / 255 + reading**2)
        noisy = light + deviation * self.rng.standard_normal(light.shape, np.float32)
        return Image.fromarray(noisy.round().clip(0, 255).astype(np.uint8))

    def compressed(self, image):
        buffer = io.BytesIO()
        image.save(buffer, "JPEG", quality=int(self.rng.integers(40, 91)), subsampling="4:2:0")
        return Image.open(buffer).convert("RGB")
