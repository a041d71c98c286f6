"""Which files a scene is read from: what has to be the same for a result to be the same."""

from pathlib import Path

from lkca.scenes.scene import Scene


def files_of(scene: Scene) -> list[Path]:
    """Every file that the scene is read from, the numbers first: data and header of an ENVI pair, the sources of a
    virtual raster, what lies beside a TIFF for GDAL.
    """
    paths = [scene.path]
    if scene.format.startswith("envi"):
        # GDAL, which `import lkca` can do without
        from lkca.scenes import envi
        from lkca.scenes.envi_fields import read_header

        header = scene.path if scene.path.suffix.lower() == ".hdr" else envi.find_header(scene.path)
        data = envi.find_data(header, read_header(header)) if header == scene.path else scene.path
        paths = [data, header]
    if scene.format in ("geotiff", "vrt", "envi+geotiff"):
        from lkca.scenes import geotiff  # GDAL, as above

        paths += [path for path in geotiff.read_files(paths[0]) if path not in paths]
    return paths
