"""A disk that can lose its power: ext4 in an image file, shut down by ioctl without its journal being written."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import struct
import subprocess
from pathlib import Path

from rig import processes

IMAGE_BYTES = 512 << 20  # sparse
_SHUTDOWN = 2 << 30 | 4 << 16 | ord("X") << 8 | 125  # FS_IOC_SHUTDOWN, which is EXT4_IOC_SHUTDOWN
_NOLOGFLUSH = 2
_TOOLS = ("mkfs.ext4", "mount", "umount")


class ShutDisk:
    """An ext4 of its own, mounted at `path`. What no sync made durable is gone after `cut` and `restart`."""

    def __init__(self, image: Path, path: Path) -> None:
        """Raises OSError and CalledProcessError where such a disk cannot be made."""
        self.image, self.path = image, path
        if missing := [tool for tool in _TOOLS if shutil.which(tool) is None]:
            raise OSError(f"{', '.join(missing)} is not installed")
        with image.open("wb") as file:
            file.truncate(IMAGE_BYTES)
        _run("mkfs.ext4", "-q", "-F", image)
        path.mkdir()
        self._mount()

    def cut(self) -> None:
        """From here on nothing reaches the disk: neither pages nor the journal."""
        folder = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.ioctl(folder, _SHUTDOWN, struct.pack("I", _NOLOGFLUSH))
        finally:
            os.close(folder)

    def restart(self) -> None:
        """Mount what reached the disk, which replays the journal. Nothing may have a file open there any more."""
        self._unmount()
        self._mount()

    def close(self) -> None:
        if os.path.ismount(self.path):
            self._unmount()

    def _mount(self) -> None:
        _run("mount", "-o", "loop", self.image, self.path)

    def _unmount(self) -> None:
        def unmounted() -> bool:
            with contextlib.suppress(subprocess.CalledProcessError):  # busy while the last process is being torn down
                _run("umount", self.path)
            return not os.path.ismount(self.path)

        processes.until(unmounted, 30, f"{self.path} is unmounted")


def _run(*command: object) -> None:
    subprocess.run([str(word) for word in command], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
