"""`mashpix study`: the paper's figures and tables, measured again on the user's images."""
