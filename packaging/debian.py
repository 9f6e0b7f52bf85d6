"""Packages of a Debian release for any architecture, in a folder of their own: the machine's are not touched.

python packaging/debian.py FOLDER bookworm aarch64 python3.11 libstdc++6    # prints where their files are
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

MIRROR = "http://deb.debian.org/debian"
KEYS = "/usr/share/keyrings/debian-archive-keyring.gpg"
NAMES = {"x86_64": "amd64", "aarch64": "arm64"}  # Debian's names of architectures


class Packages:
    """`Packages(folder, "bookworm", "aarch64").unpack("libgomp1")`: a folder with its files and those that it needs."""

    def __init__(self, folder, release, architecture):
        self.folder, self.root = folder, folder / "root"
        for part in ("lists", "archives"):
            (folder / part / "partial").mkdir(parents=True)
        (folder / "status").touch()
        (folder / "sources.list").write_text(f"deb [signed-by={KEYS}] {MIRROR} {release} main\n")
        settings = {
            "APT::Architecture": NAMES[architecture],
            "APT::Architectures": NAMES[architecture],
            "APT::Install-Recommends": "false",
            "APT::Sandbox::User": "root",
            "Dir::State": folder,
            "Dir::State::status": folder / "status",
            "Dir::Cache": folder,
            "Dir::Etc::SourceList": folder / "sources.list",
            "Dir::Etc::SourceParts": "-",
        }
        self.apt = ["apt-get", "-qq", "-y", *(f"-o{name}={value}" for name, value in settings.items())]
        subprocess.run([*self.apt, "update"], check=True)

    def unpack(self, *names):
        subprocess.run([*self.apt, "install", "--download-only", *names], check=True, stdout=subprocess.DEVNULL)
        for package in sorted((self.folder / "archives").glob("*.deb")):
            subprocess.run(["dpkg-deb", "-x", package, self.root], check=True)
        for link in self.root.rglob("*"):
            if link.is_symlink() and (target := link.readlink()).is_absolute():  # it means a file in this folder
                link.unlink()
                link.symlink_to(self.root / target.relative_to("/"))
        return self.root


if __name__ == "__main__":
    print(Packages(Path(sys.argv[1]).resolve(), *sys.argv[2:4]).unpack(*sys.argv[4:]))
