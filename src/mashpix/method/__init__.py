"""The method of the paper: MASH, Eq. 3 to 11 (CVPR 2024, arXiv 2404.09389)."""
