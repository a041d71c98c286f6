"""Sharpen an image: point spread function, deconvolution, network, error bars; in memory or by rows."""
