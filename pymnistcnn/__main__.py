"""`python -m pymnistcnn` is the command `pymnistcnn`."""

from .cli import main

if __name__ == "__main__":
    main(prog_name="pymnistcnn")
