"""``python -m tdlab``: the command line."""

from tdlab.cli import main

if __name__ == "__main__":
    main()
