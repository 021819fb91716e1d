"""Metrics: pictures, distributions of features, time, ejection fractions, and intervals around all of them.

Each is a pure function. Those that need a network of others take it from the user (`networks`, `perceptual`); the
Fréchet and kernel distances on the project's own features are named FID-echo, KID-echo and FVD-echo.
"""

from echopulse.evaluate.metrics.pixel import mae, ms_ssim, mse, psnr, ssim, ssim_map

__all__ = ["mae", "ms_ssim", "mse", "psnr", "ssim", "ssim_map"]
