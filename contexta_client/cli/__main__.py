"""`python -m contexta_client.cli` is `contexta`."""

from .main import main

if __name__ == "__main__":
    main()
