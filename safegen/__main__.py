"""`python -m safegen` is the `safegen` command."""

from safegen.cli.main import main

if __name__ == "__main__":
    main()
