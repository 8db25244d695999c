"""`mashpix bench`: presets and baselines measured on images whose clean version is known."""
