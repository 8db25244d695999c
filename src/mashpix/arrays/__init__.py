"""Arrays in, arrays out: the public functions on images and stacks."""
