"""`python -m modellake`: the command line."""

from modellake.command_line import main

if __name__ == "__main__":
    main()
