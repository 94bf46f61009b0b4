"""Files that a tenant may have prepared, on the real kernel."""

from __future__ import annotations

import fcntl
import os
import socket
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from multiprocessing import get_context
from pathlib import Path

import pytest

from yarn_kata_runtime.node.files import (
    UnsafeFile,
    open_real,
    read_beneath,
    read_file,
    remove_tree,
    root_owned,
    write_file,
)
from yarn_kata_runtime.node.syscalls import call

pytestmark = pytest.mark.usefixtures("needs_root")

PROCESSES = get_context("fork")
TENANT = 61001
AT_FDCWD = -100
RENAME_EXCHANGE = 2
ROUNDS = 3000
MOST_ROUNDS = 300_000  # until both sides of a race have been seen


@pytest.fixture
def roots() -> Iterator[Path]:
    """A folder that nobody but root can have put there."""
    with tempfile.TemporaryDirectory(prefix="yarn-kata-test-", dir="/run") as folder:
        yield Path(folder)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A filesystem of 64 KiB."""
    folder = tmp_path / "small"
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "small", folder], check=True)
    yield folder
    subprocess.run(["umount", "--lazy", folder], check=True)


def make_special(path: Path, kind: str) -> None:
    if kind == "fifo":
        os.mkfifo(path)
    elif kind == "socket":
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(os.fspath(path))
    elif kind == "folder":
        path.mkdir()
    else:
        # no driver has the number 240:17: opening it would fail, so a test sees whether it was tried
        os.mknod(path, stat.S_IFCHR | 0o666, os.makedev(240, 17))


class TestReadFile:
    @pytest.mark.parametrize("size", [0, 1, 99_999, 100_000])
    def test_content_up_to_the_limit(self, tmp_path: Path, size: int) -> None:
        (tmp_path / "file").write_bytes(b"x" * size)
        assert read_file(f"{tmp_path}/file", 100_000) == b"x" * size

    def test_more_than_the_limit(self, tmp_path: Path) -> None:
        (tmp_path / "file").write_bytes(b"x" * 100_001)
        with pytest.raises(UnsafeFile, match=f"^{tmp_path}/file has more than 100000 bytes"):
            read_file(f"{tmp_path}/file", 100_000)

    def test_a_file_of_proc_that_says_it_is_empty(self) -> None:
        assert os.stat("/proc/self/stat").st_size == 0
        assert read_file("/proc/self/stat", 4096).startswith(str(os.getpid()).encode())

    def test_a_link(self, tmp_path: Path) -> None:
        (tmp_path / "link").symlink_to("/etc/passwd")
        with pytest.raises(UnsafeFile, match=f"^{tmp_path}/link is a symbolic link"):
            read_file(f"{tmp_path}/link", 100_000)

    @pytest.mark.parametrize("kind", ["fifo", "folder"])
    def test_no_regular_file(self, tmp_path: Path, kind: str) -> None:
        make_special(tmp_path / kind, kind)
        with pytest.raises(UnsafeFile, match=f"^{tmp_path}/{kind} is no regular file"):
            read_file(f"{tmp_path}/{kind}", 100)

    def test_nothing(self, tmp_path: Path) -> None:
        with pytest.raises(FileNotFoundError, match=f"{tmp_path}/file"):
            read_file(f"{tmp_path}/file", 100)


class TestReadBeneath:
    @pytest.fixture
    def rootfs(self, tmp_path: Path) -> Path:
        """An image's tree, beside a secret."""
        (tmp_path / "secret").write_bytes(b"secret")
        etc = tmp_path / "rootfs" / "etc"
        etc.mkdir(parents=True)
        (etc / "passwd").write_bytes(b"inside")
        return tmp_path / "rootfs"

    @pytest.mark.parametrize("relative", ["etc/passwd", "/etc/passwd", "../../etc/passwd", "etc/../etc//passwd"])
    def test_a_path_stays_inside(self, rootfs: Path, relative: str) -> None:
        assert read_beneath(f"{rootfs}", relative, 100) == b"inside"

    @pytest.mark.parametrize("target", ["/etc/passwd", "../../../../../etc/passwd", "etc/passwd"])
    def test_a_link_stays_inside(self, rootfs: Path, target: str) -> None:
        (rootfs / "link").symlink_to(target)
        assert read_beneath(f"{rootfs}", "link", 100) == b"inside"

    @pytest.mark.parametrize("target", ["{parent}/secret", "../secret", "missing", "etc/passwd/file"])
    def test_a_link_to_what_is_not_inside_is_nothing(self, rootfs: Path, target: str) -> None:
        (rootfs / "link").symlink_to(target.format(parent=rootfs.parent))
        assert read_beneath(f"{rootfs}", "link", 100) is None
        assert read_beneath(f"{rootfs}", "../secret", 100) is None

    def test_a_folder_that_is_a_link_out_of_the_tree(self, rootfs: Path) -> None:
        (rootfs / "out").symlink_to(rootfs.parent)
        assert read_beneath(f"{rootfs}", "out/secret", 100) is None

    @pytest.mark.parametrize("kind", ["fifo", "socket", "folder", "device"])
    def test_no_regular_file_is_opened(self, rootfs: Path, kind: str) -> None:
        make_special(rootfs / kind, kind)
        (rootfs / "link").symlink_to(kind)
        for relative in (kind, "link"):
            with pytest.raises(UnsafeFile, match=f"^{rootfs}/{relative} is no regular file"):
                read_beneath(f"{rootfs}", relative, 100)

    def test_a_writer_of_a_fifo_is_not_woken(self, rootfs: Path) -> None:
        os.mkfifo(rootfs / "fifo")
        with pytest.raises(UnsafeFile):
            read_beneath(f"{rootfs}", "fifo", 100)
        with pytest.raises(OSError, match="No such device or address"):  # nobody has it open for reading
            os.open(rootfs / "fifo", os.O_WRONLY | os.O_NONBLOCK)

    @pytest.mark.parametrize("relative", ["proc/self/root/etc/passwd", "proc/self/cwd", "proc/self/fd/0"])
    def test_a_magic_link_of_proc(self, relative: str) -> None:
        with pytest.raises(UnsafeFile, match="leads through a link of /proc"):
            read_beneath("/", relative, 100)

    def test_links_in_a_circle(self, rootfs: Path) -> None:
        (rootfs / "one").symlink_to("two")
        (rootfs / "two").symlink_to("one")
        with pytest.raises(UnsafeFile, match="in a circle"):
            read_beneath(f"{rootfs}", "one", 100)

    def test_more_than_the_limit(self, rootfs: Path) -> None:
        with pytest.raises(UnsafeFile, match="more than 5 bytes"):
            read_beneath(f"{rootfs}", "etc/passwd", 5)

    def test_a_sparse_giant_costs_its_limit_only(self, rootfs: Path) -> None:
        with (rootfs / "giant").open("wb") as file:
            file.truncate(1 << 40)
        with pytest.raises(UnsafeFile, match="more than 1000000 bytes"):
            read_beneath(f"{rootfs}", "giant", 1_000_000)

    def test_a_lease_holds_nobody_up(self, rootfs: Path) -> None:
        with (rootfs / "etc" / "passwd").open("rb+") as file:
            fcntl.fcntl(file, fcntl.F_SETSIG, 23)  # SIGURG, which is ignored, for SIGIO, which kills
            fcntl.fcntl(file, fcntl.F_SETLEASE, fcntl.F_WRLCK)
            with pytest.raises(UnsafeFile, match="lease"):
                read_beneath(f"{rootfs}", "etc/passwd", 100)

    def test_a_root_that_is_a_link_of_the_tenant(self, rootfs: Path) -> None:
        link = rootfs.parent / "link"
        link.symlink_to(rootfs)
        os.lchown(link, TENANT, TENANT)
        with pytest.raises(UnsafeFile, match=f"^{link} leads through a symbolic link"):
            read_beneath(f"{link}", "etc/passwd", 100)

    def test_a_path_with_a_null_byte(self, rootfs: Path) -> None:
        with pytest.raises(ValueError, match="null byte"):
            read_beneath(f"{rootfs}", "etc/passwd\0.txt", 100)

    def test_a_folder_swapped_for_a_link_all_the_time(self, rootfs: Path) -> None:
        (rootfs / "out").symlink_to(rootfs.parent)
        (rootfs / "etc" / "secret").write_bytes(b"inside")
        swapper = PROCESSES.Process(target=exchange_forever, args=(rootfs / "etc", rootfs / "out"))
        swapper.start()
        try:
            found: set[bytes | None] = set()
            for tried in range(MOST_ROUNDS):
                found.add(attempt(rootfs, "etc/../etc/secret"))
                if tried > ROUNDS and {b"inside", None} <= found:
                    break
        finally:
            swapper.kill()
            swapper.join()
        assert {b"inside", None} <= found <= {b"inside", None, b"changes"}


def attempt(rootfs: Path, relative: str) -> bytes | None:
    try:
        return read_beneath(f"{rootfs}", relative, 100)
    except UnsafeFile as error:
        assert "changes all the time" in str(error)
        return b"changes"


def exchange_forever(one: Path, other: Path) -> None:
    while True:
        call("renameat2", AT_FDCWD, os.fsencode(one), AT_FDCWD, os.fsencode(other), RENAME_EXCHANGE)


class TestWriteFile:
    def test_content_mode_and_owner(self, tmp_path: Path) -> None:
        path = tmp_path / "file"
        write_file(f"{path}", b"content", 0o2640, TENANT, TENANT + 1)
        found = path.lstat()
        assert path.read_bytes() == b"content"
        assert (found.st_mode, found.st_uid, found.st_gid) == (stat.S_IFREG | 0o2640, TENANT, TENANT + 1)
        assert os.listdir(tmp_path) == ["file"]

    def test_what_is_there_is_replaced_and_not_written_to(self, tmp_path: Path) -> None:
        secret = tmp_path / "secret"
        secret.write_bytes(b"secret")
        (tmp_path / "link").symlink_to(secret)
        (tmp_path / "hardlink").hardlink_to(secret)
        write_file(f"{tmp_path}/link", b"new", 0o600)
        write_file(f"{tmp_path}/hardlink", b"new", 0o600)
        assert secret.read_bytes() == b"secret"
        assert not (tmp_path / "link").is_symlink()
        assert (tmp_path / "hardlink").read_bytes() == b"new"

    def test_a_name_without_a_folder_is_in_the_current_one(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(tmp_path)
        write_file("config.json", b"{}", 0o600)
        assert (tmp_path / "config.json").read_bytes() == b"{}"

    def test_a_folder_that_is_a_link_of_the_tenant(self, tmp_path: Path) -> None:
        (tmp_path / "folder").mkdir()
        (tmp_path / "link").symlink_to("folder")
        os.lchown(tmp_path / "link", TENANT, TENANT)
        with pytest.raises(UnsafeFile):
            write_file(f"{tmp_path}/link/file", b"", 0o600)
        assert os.listdir(tmp_path / "folder") == []

    def test_a_full_disk_leaves_the_old_file_alone(self, small_disk: Path) -> None:
        write_file(f"{small_disk}/file", b"old", 0o600)
        with pytest.raises(OSError, match=f"No space left on device: '{small_disk}/file'"):
            write_file(f"{small_disk}/file", b"x" * 200_000, 0o600)
        assert os.listdir(small_disk) == ["file"]
        assert (small_disk / "file").read_bytes() == b"old"
        write_file(f"{small_disk}/file", b"x" * 40_000, 0o600)

    def test_a_path_that_cannot_be_replaced(self, tmp_path: Path) -> None:
        (tmp_path / "folder").mkdir()
        with pytest.raises(IsADirectoryError, match=f"{tmp_path}/folder"):
            write_file(f"{tmp_path}/folder", b"", 0o600)
        with pytest.raises(FileNotFoundError, match=f"{tmp_path}/missing"):
            write_file(f"{tmp_path}/missing/file", b"", 0o600)
        assert os.listdir(tmp_path) == ["folder"]

    def test_a_reader_never_sees_a_part(self, tmp_path: Path) -> None:
        path = f"{tmp_path}/file"
        contents = [letter * 300_000 for letter in (b"a", b"b")]
        write_file(path, contents[0], 0o600)
        writer = PROCESSES.Process(target=write_forever, args=(path, contents))
        writer.start()
        try:
            seen: set[bytes] = set()
            for tried in range(MOST_ROUNDS):
                seen.add(read_file(path, 300_000))
                if tried > ROUNDS and len(seen) > 1:
                    break
        finally:
            writer.kill()
            writer.join()
        assert seen == set(contents)


def write_forever(path: str, contents: list[bytes]) -> None:
    while True:
        for content in contents:
            write_file(path, content, 0o600)


class TestRootOwned:
    def test_files_and_folders_of_root(self, roots: Path) -> None:
        (roots / "file").touch(0o755)
        assert root_owned(f"{roots}/file")
        assert root_owned(f"{roots}")
        assert root_owned("/")

    @pytest.mark.parametrize("mode", [0o666, 0o620, 0o602])
    def test_a_file_that_others_write(self, roots: Path, mode: int) -> None:
        (roots / "file").touch()
        (roots / "file").chmod(mode)
        assert not root_owned(f"{roots}/file")

    @pytest.mark.parametrize("mode", [0o1777, 0o775, 0o757])
    def test_a_folder_that_others_write(self, roots: Path, mode: int) -> None:
        (roots / "folder").mkdir()
        (roots / "folder" / "file").touch(0o644)
        (roots / "folder").chmod(mode)
        assert not root_owned(f"{roots}/folder/file")

    @pytest.mark.parametrize("name", ["folder/file", "folder"])
    def test_what_belongs_to_somebody_else(self, roots: Path, name: str) -> None:
        (roots / "folder").mkdir()
        (roots / "folder" / "file").touch(0o644)
        os.chown(roots / name, TENANT, 0)
        assert not root_owned(f"{roots}/folder/file")

    @pytest.mark.parametrize("target", ["folder/file", "{roots}/folder/file", "folder/../folder/./file", "other"])
    def test_links_of_root(self, roots: Path, target: str) -> None:
        (roots / "folder").mkdir()
        (roots / "folder" / "file").touch(0o644)
        (roots / "other").symlink_to("folder/file")
        (roots / "link").symlink_to(target.format(roots=roots))
        assert root_owned(f"{roots}/link")
        os.lchown(roots / "link", TENANT, TENANT)
        assert not root_owned(f"{roots}/link")

    def test_a_link_of_root_to_what_is_not(self, roots: Path) -> None:
        (roots / "file").touch(0o644)
        os.chown(roots / "file", TENANT, TENANT)
        (roots / "link").symlink_to("file")
        assert not root_owned(f"{roots}/link")

    def test_links_in_a_circle_and_nothing(self, roots: Path) -> None:
        (roots / "circle").symlink_to("circle")
        (roots / "file").touch(0o644)
        assert not root_owned(f"{roots}/circle")
        assert not root_owned(f"{roots}/missing")
        assert not root_owned(f"{roots}/file/below")

    @pytest.mark.parametrize("kind", ["fifo", "socket", "device"])
    def test_neither_file_nor_folder(self, roots: Path, kind: str) -> None:
        make_special(roots / kind, kind)
        (roots / kind).chmod(0o600)
        assert not root_owned(f"{roots}/{kind}")


class TestOpenReal:
    def opened(self, path: Path) -> Path:
        """Where the descriptor for `path` leads."""
        descriptor = open_real(f"{path}")
        try:
            return Path(os.readlink(f"/proc/self/fd/{descriptor}"))
        finally:
            os.close(descriptor)

    def test_links_of_root_are_the_administrators(self, roots: Path) -> None:
        (roots / "disk" / "usercache").mkdir(parents=True)
        (roots / "local").symlink_to("disk")
        os.chown(roots / "disk", TENANT, TENANT)
        assert self.opened(roots / "local" / "usercache") == roots / "disk" / "usercache"

    def test_a_link_below_a_folder_of_the_tenant(self, roots: Path) -> None:
        (roots / "disk" / "usercache").mkdir(parents=True)
        (roots / "local").symlink_to("disk")
        (roots / "disk" / "link").symlink_to("usercache")  # of root, in a folder where he could have renamed it
        os.chown(roots / "disk", TENANT, TENANT)
        with pytest.raises(UnsafeFile, match=f"^{roots}/local/link leads through a symbolic link"):
            self.opened(roots / "local" / "link")

    def test_upwards_only_where_nobody_can_move_the_folder(self, roots: Path) -> None:
        (roots / "disk" / "alice").mkdir(parents=True)
        (roots / "disk" / "bob").mkdir()
        assert self.opened(roots / "disk" / "alice" / ".." / "bob") == roots / "disk" / "bob"
        os.chown(roots / "disk", TENANT, TENANT)
        with pytest.raises(UnsafeFile, match=r"alice/\.\./bob has '\.\.' below a folder"):
            self.opened(roots / "disk" / "alice" / ".." / "bob")

    def test_nothing(self, roots: Path) -> None:
        (roots / "file").touch()
        with pytest.raises(FileNotFoundError, match=f"{roots}/missing/below"):
            self.opened(roots / "missing" / "below")
        with pytest.raises(NotADirectoryError, match=f"{roots}/file/below"):
            self.opened(roots / "file" / "below")

    def test_no_descriptor_is_left(self, roots: Path) -> None:
        (roots / "link").symlink_to("/etc")
        (roots / "circle").symlink_to("circle")
        before = os.listdir("/proc/self/fd")
        self.opened(roots / "link" / "passwd")
        for name in ("circle", "missing", "link/passwd/below"):
            with pytest.raises(OSError, match=name):
                self.opened(roots / name)
        assert os.listdir("/proc/self/fd") == before


class TestRemoveTree:
    def test_folders_files_and_links(self, tmp_path: Path) -> None:
        (tmp_path / "secret").write_bytes(b"secret")
        deep = tmp_path / "tree" / "a" / "b"
        deep.mkdir(parents=True)
        (deep / "file").touch()
        (deep / "link").symlink_to(tmp_path / "secret")
        (deep / "folder").symlink_to(tmp_path)
        os.mkfifo(deep / "fifo")
        remove_tree(f"{tmp_path}/tree")
        assert os.listdir(tmp_path) == ["secret"]

    def test_a_link_goes_and_its_target_stays(self, tmp_path: Path) -> None:
        (tmp_path / "folder").mkdir()
        (tmp_path / "link").symlink_to("folder")
        remove_tree(f"{tmp_path}/link")
        assert os.listdir(tmp_path) == ["folder"]

    def test_nothing(self, tmp_path: Path) -> None:
        remove_tree(f"{tmp_path}/missing")
        remove_tree(f"{tmp_path}/missing/below")

    @pytest.mark.parametrize("name", ["tree/a/mount", "tree/a/file", "tree"])
    def test_a_mount_stays(self, tmp_path: Path, name: str) -> None:
        source = tmp_path / "source"
        (tmp_path / "tree" / "a" / "mount").mkdir(parents=True)
        (tmp_path / "tree" / "a" / "file").touch()
        if (tmp_path / name).is_dir():
            source.mkdir()
            (source / "kept").touch()
        else:
            source.touch()
        # a bind mount: the device number would not tell
        subprocess.run(["mount", "--bind", source, tmp_path / name], check=True)
        try:
            with pytest.raises(UnsafeFile, match=f"^{tmp_path}/{name} is a mount"):
                remove_tree(f"{tmp_path}/tree")
        finally:
            subprocess.run(["umount", "--lazy", tmp_path / name], check=True)
        assert source.is_file() or os.listdir(source) == ["kept"]
        remove_tree(f"{tmp_path}/tree")
        assert os.listdir(tmp_path) == ["source"]


def test_the_modules_load_little() -> None:
    program = (
        "import os, sys; sys.path.insert(0, sys.argv[1]); before = set(sys.modules);"
        "import yarn_kata_runtime.node.idmap, yarn_kata_runtime.node.accounts;"
        "print(*sorted(name for name in set(sys.modules) - before if not name.startswith('yarn_kata_runtime')))"
    )
    package = os.fspath(Path(__file__).parents[2])
    found = subprocess.run([sys.executable, "-ISE", "-c", program, package], capture_output=True, check=True, text=True)
    assert set(found.stdout.split()) <= {"__future__", "_ctypes", "errno"}
