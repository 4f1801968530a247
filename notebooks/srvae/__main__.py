"""``python -m srvae`` is the command ``srvae``."""

from .cli import main

if __name__ == "__main__":
    main()
