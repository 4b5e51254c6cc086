"""`python -m xray_analytics` is `xray`: for where scripts are not on the path."""

from .cli import main

if __name__ == "__main__":
    main()
