"""What grew out of MASH: the noise measured in the prediction's residual brings back what the network lost."""
