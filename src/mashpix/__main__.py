"""`python -m mashpix` is the command line `mashpix`."""

from mashpix.cli import main

if __name__ == "__main__":
    main()
