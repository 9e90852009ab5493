"""``python -m dabench``."""

from dabench.cli import main

if __name__ == "__main__":
    main()
