"""DICOM, the files of medical imaging."""
