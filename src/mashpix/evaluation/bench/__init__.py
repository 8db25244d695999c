"""`mashpix bench`: measure presets and baselines on images whose clean version is known."""
