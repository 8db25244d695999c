"""FITS, the files of astronomy."""
