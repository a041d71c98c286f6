"""Read scene files (MATLAB, numpy, ENVI, GeoTIFF) and what they say of their bands."""
