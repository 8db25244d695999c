"""Microscope files: CZI, ND2, LIF and more, read plane by plane in a separate process."""
