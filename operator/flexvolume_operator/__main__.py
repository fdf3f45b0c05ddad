"""`python -m flexvolume_operator` is the command `flexvolume-operator`."""

from flexvolume_operator.cli import main

if __name__ == "__main__":
    main()
