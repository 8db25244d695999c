"""OME-Zarr 0.4 and 0.5 (OME-NGFF): images in chunks, in a folder of files. Needs the extra `zarr`."""
