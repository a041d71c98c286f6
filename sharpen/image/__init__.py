"""How an image is sharpened: point spread function, deconvolution, network, error bars; in memory or by rows."""
