"""TIFF: images and stacks, new pixels in a copy of the old file."""
