"""Scene files: MATLAB, numpy, ENVI, GeoTIFF; what they say of their bands."""
