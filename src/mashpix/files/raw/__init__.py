"""Camera raw: developed by LibRaw in a process of its own."""
