"""Idmapped mounts on the real kernel and on each filesystem that can be made here."""

from __future__ import annotations

import errno
import os
import shutil
import stat
import subprocess
from collections.abc import Callable, Iterator
from multiprocessing import get_context
from multiprocessing.synchronize import Barrier
from pathlib import Path

import pytest

from yarn_kata_runtime.node.files import UnsafeFile
from yarn_kata_runtime.node.idmap import (
    IdmapUnsupported,
    mount_idmapped,
    mounts_below,
    pin_user_namespace,
    unmount,
    unmount_below,
)
from yarn_kata_runtime.node.syscalls import call

pytestmark = pytest.mark.usefixtures("needs_root")

PROCESSES = get_context("fork")
YARN, SLOT, OTHER_SLOT, NM_GROUP, UNMAPPED = 61001, 61002, 61003, 61100, 61200
UIDS = [(0, 0), (YARN, SLOT)]
GIDS = [(0, 0), (YARN, SLOT), (NM_GROUP, NM_GROUP)]
OVERFLOW = 65534

AT_FDCWD = -100
RENAME_EXCHANGE = 2
CLONE_NEWUSER = 0x10000000
ROUNDS = 3000
MOST_ROUNDS = 100_000  # until both sides of a race have been seen


def kernel() -> tuple[int, int]:
    major, minor = os.uname().release.split(".")[:2]
    return int(major), int(minor)


def filesystems() -> list[str]:
    """Those with idmapped mounts that this machine can make; tmpfs has them since Linux 6.3."""
    known = Path("/proc/filesystems").read_text().split()
    made = [name for name in ("xfs", "btrfs") if name in known and shutil.which(f"mkfs.{name}", path="/usr/sbin:/sbin")]
    return ["ext4", *made, *(["tmpfs"] if kernel() >= (6, 3) else [])]


@pytest.fixture(scope="module", params=filesystems())
def disk(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A new filesystem."""
    folder = tmp_path_factory.mktemp(request.param)
    if request.param == "tmpfs":
        subprocess.run(["mount", "-t", "tmpfs", "disk", folder], check=True)
    else:
        image = folder.with_suffix(".image")
        with image.open("wb") as file:
            file.truncate(320 << 20)  # sparse; xfs wants 300 MB
        subprocess.run([f"mkfs.{request.param}", "-q", image], check=True, env={"PATH": "/usr/sbin:/sbin"})
        subprocess.run(["mount", "-o", "loop", image, folder], check=True)
    yield folder
    subprocess.run(["umount", folder], check=True)  # not lazily: nothing may use it any more


class Place:
    """A tenant's folder as YARN makes it, and where it is mounted for his slot."""

    def __init__(self, folder: Path) -> None:
        self.disk = folder / "usercache" / "alice" / "appcache" / "application_1"
        self.disk.mkdir(parents=True)
        os.chown(self.disk, YARN, NM_GROUP)
        self.disk.chmod(0o2770)
        self.mounts = folder / "mounts"
        self.mounts.mkdir()
        self.seen = self.mounts / "0"
        self.namespace = self.mounts / "namespace"
        pin_user_namespace(f"{self.namespace}", UIDS, GIDS)

    def mount(self, source: Path | None = None, target: Path | None = None, read_only: bool = False) -> Path:
        target = target or self.seen
        mount_idmapped(f"{source or self.disk}", f"{target}", f"{self.namespace}", read_only, YARN)
        return target


@pytest.fixture
def place(disk: Path) -> Iterator[Place]:
    """A place on each of the filesystems."""
    folder = disk / "place"
    folder.mkdir()
    yield Place(folder)
    unmount_below(f"{folder}")
    shutil.rmtree(folder)


@pytest.fixture
def local(tmp_path: Path) -> Iterator[Place]:
    """A place where the filesystem does not matter."""
    yield Place(tmp_path)
    unmount_below(f"{tmp_path}")


def as_slot(slot: int, folder: Path, work: Callable[[], object]) -> str:
    """What comes of `work` for a process of a slot in the current folder `folder`: "done" or the name of the errno."""
    told, tell = os.pipe()
    child = os.fork()
    if child == 0:
        outcome = "failed"
        try:
            os.chdir(folder)
            os.umask(0o007)
            os.setgroups([NM_GROUP])
            os.setresgid(slot, slot, slot)
            os.setresuid(slot, slot, slot)
            work()
            outcome = "done"
        except OSError as error:
            outcome = errno.errorcode[error.errno or 0]
        finally:
            os.write(tell, outcome.encode())
            os._exit(0)
    os.close(tell)
    with os.fdopen(told, "rb") as answer:
        outcome = answer.read().decode()
    os.waitpid(child, 0)
    return outcome


def owner(path: Path) -> tuple[int, int]:
    found = path.lstat()
    return found.st_uid, found.st_gid


def children() -> str:
    return Path(f"/proc/self/task/{os.getpid()}/children").read_text()


class TestOwners:
    def test_files_of_yarns_user_are_seen_as_the_slots(self, place: Place) -> None:
        for name, uid, gid in [("a", YARN, YARN), ("b", 0, 0), ("c", YARN, NM_GROUP), ("d", UNMAPPED, UNMAPPED)]:
            (place.disk / name).touch()
            os.chown(place.disk / name, uid, gid)
        seen = place.mount()
        assert owner(seen) == (SLOT, NM_GROUP)
        assert owner(seen / "a") == (SLOT, SLOT)
        assert owner(seen / "b") == (0, 0)
        assert owner(seen / "c") == (SLOT, NM_GROUP)
        assert owner(seen / "d") == (OVERFLOW, OVERFLOW)

    def test_files_of_the_slot_are_on_disk_yarns_users(self, place: Place) -> None:
        place.disk.chmod(0o770)
        seen = place.mount()
        assert as_slot(SLOT, seen, lambda: Path("file").write_bytes(b"of the slot")) == "done"
        assert as_slot(SLOT, seen, lambda: os.mkdir("folder")) == "done"
        assert as_slot(SLOT, seen, lambda: os.symlink("file", "link")) == "done"
        assert as_slot(SLOT, seen, lambda: os.mkfifo("fifo")) == "done"
        for name in ("file", "folder", "link", "fifo"):
            assert owner(place.disk / name) == (YARN, YARN)
            assert owner(seen / name) == (SLOT, SLOT)
        assert (place.disk / "file").read_bytes() == b"of the slot"

    def test_a_setgid_folder_hands_its_group_on(self, place: Place) -> None:
        seen = place.mount()
        assert as_slot(SLOT, seen, lambda: Path("file").touch()) == "done"
        assert owner(place.disk / "file") == (YARN, NM_GROUP)
        assert stat.S_IMODE((place.disk / "file").stat().st_mode) == 0o660

    def test_root_creates_as_itself_and_gives_to_the_slot(self, place: Place) -> None:
        seen = place.mount()
        (seen / "file").touch()
        assert owner(place.disk / "file") == (0, NM_GROUP)
        os.chown(seen / "file", SLOT, SLOT)
        assert owner(place.disk / "file") == (YARN, YARN)

    def test_an_id_without_a_map_cannot_be_written(self, place: Place) -> None:
        seen = place.mount()
        (seen / "file").touch()
        with pytest.raises(OSError, match="too large for defined data type|Invalid argument"):
            os.chown(seen / "file", UNMAPPED, UNMAPPED)
        assert owner(place.disk / "file") == (0, NM_GROUP)

    def test_the_disk_does_not_change(self, place: Place) -> None:
        (place.disk / "file").touch()
        os.chown(place.disk / "file", YARN, NM_GROUP)
        before = [(path.lstat().st_uid, path.lstat().st_gid, path.lstat().st_ctime_ns) for path in place.disk.iterdir()]
        unmount(f"{place.mount()}")
        assert before == [
            (path.lstat().st_uid, path.lstat().st_gid, path.lstat().st_ctime_ns) for path in place.disk.iterdir()
        ]
        assert owner(place.disk) == (YARN, NM_GROUP)


class TestWhatTheSlotMayDo:
    @pytest.fixture
    def seen(self, place: Place) -> Path:
        """The mount, with a file of YARN's user that others of the group may not write, and one of root's."""
        for name, uid in [("file", YARN), ("roots", 0), ("other", UNMAPPED)]:
            (place.disk / name).write_bytes(b"content")
            (place.disk / name).chmod(0o600)
            os.chown(place.disk / name, uid, YARN)
        return place.mount()

    @pytest.mark.parametrize(
        ("work", "outcome"),
        [
            (lambda: Path("file").read_bytes(), "done"),
            (lambda: Path("file").write_bytes(b"new"), "done"),
            (lambda: Path("file").chmod(0o4755), "done"),
            (lambda: os.utime("file", (1, 1)), "done"),
            (lambda: os.rename("file", "renamed"), "done"),
            (lambda: os.symlink("/etc/passwd", "link"), "done"),
            (lambda: os.link("file", "hardlink"), "done"),
            (lambda: os.unlink("file"), "done"),
            (lambda: os.makedirs("a/b/c"), "done"),
            (lambda: os.setxattr("file", "user.key", b"value"), "done"),
            (lambda: os.chown("file", -1, NM_GROUP), "done"),
            (lambda: os.chown("file", 0, -1), "EPERM"),
            (lambda: Path("roots").read_bytes(), "EACCES"),
            (lambda: os.chmod("roots", 0o666), "EPERM"),
            (lambda: Path("other").read_bytes(), "EACCES"),
            (lambda: os.chmod("other", 0o666), "EOVERFLOW"),
            (lambda: os.mknod("device", stat.S_IFCHR | 0o600, os.makedev(1, 3)), "EPERM"),
        ],
    )
    def test_the_slot(self, seen: Path, work: Callable[[], object], outcome: str) -> None:
        assert as_slot(SLOT, seen, work) == outcome

    @pytest.mark.parametrize(
        "work",
        [
            lambda: os.listdir("."),
            lambda: Path("file").read_bytes(),
            lambda: Path("file").stat(),
            lambda: Path("new").touch(),
            lambda: os.rename("file", "renamed"),
            lambda: os.unlink("file"),
        ],
    )
    @pytest.mark.parametrize("account", [OTHER_SLOT, YARN])
    def test_another_account(self, place: Place, seen: Path, account: int, work: Callable[[], object]) -> None:
        """Not even the YARN user, whose files they are on disk."""
        os.chown(place.disk, YARN, YARN)
        assert as_slot(account, seen, work) == "EACCES"

    def test_the_slot_has_no_access_beside_the_mount(self, place: Place, seen: Path) -> None:
        os.chown(place.disk, YARN, YARN)
        assert as_slot(SLOT, place.disk, lambda: Path("file").read_bytes()) == "EACCES"


class TestSources:
    def test_a_subfolder(self, place: Place) -> None:
        folder = place.disk / "container_1"
        folder.mkdir()
        os.chown(folder, YARN, YARN)
        (folder / "file").touch()
        seen = place.mount(folder)
        assert os.listdir(seen) == ["file"]
        assert as_slot(SLOT, seen, lambda: Path("new").touch()) == "done"
        assert owner(folder / "new")[0] == YARN

    def test_a_file(self, place: Place) -> None:
        script = place.disk / "launch_container.sh"
        script.write_bytes(b"echo")
        os.chown(script, YARN, YARN)
        script.chmod(0o700)
        seen = place.mount(script)
        assert owner(seen) == (SLOT, SLOT)
        place.mounts.chmod(0o755)
        assert as_slot(SLOT, place.mounts, lambda: Path("0").write_bytes(b"echo hello")) == "done"
        assert script.read_bytes() == b"echo hello"

    def test_read_only(self, place: Place) -> None:
        (place.disk / "file").touch()
        os.chown(place.disk / "file", YARN, YARN)
        seen = place.mount(read_only=True)
        for work in (lambda: Path("new").touch(), lambda: Path("file").write_bytes(b"x"), lambda: os.unlink("file")):
            assert as_slot(SLOT, seen, work) == "EROFS"
        (place.disk / "new").touch()
        assert (seen / "new").exists()

    def test_neither_suid_programs_nor_devices(self, place: Place) -> None:
        flags = os.statvfs(place.mount()).f_flag
        assert flags & os.ST_NOSUID
        assert flags & os.ST_NODEV
        assert not flags & os.ST_NOEXEC
        assert not flags & os.ST_RDONLY

    def test_mounts_below_the_source_stay_out(self, local: Place) -> None:
        for name in ("before", "after"):
            (local.disk / name).mkdir()
        subprocess.run(["mount", "-t", "tmpfs", "below", local.disk / "before"], check=True)
        (local.disk / "before" / "secret").touch()
        seen = local.mount()
        subprocess.run(["mount", "-t", "tmpfs", "below", local.disk / "after"], check=True)
        (local.disk / "after" / "secret").touch()
        assert os.listdir(seen / "before") == os.listdir(seen / "after") == []

    def test_a_folder_of_somebody_else(self, local: Place) -> None:
        os.chown(local.disk, UNMAPPED, NM_GROUP)
        expected = f"^{local.disk} is drwxrws--- of uid {UNMAPPED} and must be .* of uid {YARN}"
        with pytest.raises(UnsafeFile, match=expected):
            local.mount()
        assert not local.seen.exists()

    def test_neither_folder_nor_file(self, local: Place) -> None:
        os.mkfifo(local.disk / "fifo")
        os.chown(local.disk / "fifo", YARN, YARN)
        with pytest.raises(UnsafeFile, match="must be a folder or a regular file"):
            local.mount(local.disk / "fifo")
        assert not local.seen.exists()

    @pytest.mark.parametrize("name", ["link", "link/file"])
    def test_a_link_of_the_tenant(self, local: Place, name: str) -> None:
        (local.disk / "folder").mkdir()
        (local.disk / "folder" / "file").touch()
        (local.disk / "link").symlink_to("folder")
        with pytest.raises(UnsafeFile, match=f"^{local.disk}/{name} leads through a symbolic link"):
            local.mount(local.disk / name)
        assert not local.seen.exists()

    def test_a_missing_source(self, local: Place) -> None:
        with pytest.raises(FileNotFoundError, match=f"{local.disk}/missing"):
            local.mount(local.disk / "missing")
        assert not local.seen.exists()


class TestSwappedSource:
    """The tenant, who owns the folders above the source, swaps it for a link while it is being mounted."""

    @pytest.mark.parametrize("level", [0, 1, 2])
    def test_a_link_to_another_tenants_folder_is_never_mounted(self, local: Place, tmp_path: Path, level: int) -> None:
        victim = tmp_path / "usercache" / "bob" / "appcache" / "application_1"
        victim.mkdir(parents=True)
        os.chown(victim, YARN, NM_GROUP)  # the same user on disk: the owner alone would not tell
        ours = local.disk.stat().st_ino
        swapped = [local.disk, *local.disk.parents][level]
        link = tmp_path / "link"
        link.symlink_to([victim, *victim.parents][level])
        swapper = PROCESSES.Process(target=exchange_forever, args=(swapped, link))
        swapper.start()
        mounted = refused = 0
        try:
            for tried in range(MOST_ROUNDS):
                try:
                    seen = local.mount()
                except UnsafeFile:
                    refused += 1
                else:
                    mounted += 1
                    assert seen.stat().st_ino == ours
                    unmount(f"{seen}")
                    seen.rmdir()
                if tried > ROUNDS and mounted and refused:
                    break
        finally:
            swapper.kill()
            swapper.join()
        assert mounted
        assert refused


def exchange_forever(one: Path, other: Path) -> None:
    while True:
        call("renameat2", AT_FDCWD, os.fsencode(one), AT_FDCWD, os.fsencode(other), RENAME_EXCHANGE)


class TestUnsupported:
    def test_an_overlay(self, local: Place, tmp_path: Path) -> None:
        for name in ("lower", "upper", "work", "overlay"):
            (tmp_path / name).mkdir()
        layers = f"lowerdir={tmp_path}/lower,upperdir={tmp_path}/upper,workdir={tmp_path}/work"
        subprocess.run(["mount", "-t", "overlay", "-o", layers, "overlay", tmp_path / "overlay"], check=True)
        os.chown(tmp_path / "overlay", YARN, YARN)
        with pytest.raises(IdmapUnsupported) as raised:
            local.mount(tmp_path / "overlay")
        assert str(raised.value).startswith(f"{tmp_path}/overlay is on overlay, which the kernel")
        assert "ext4, xfs or btrfs" in str(raised.value)
        assert not local.seen.exists()

    def test_a_mount_that_is_idmapped_already(self, local: Place) -> None:
        seen = local.mount()
        with pytest.raises(IdmapUnsupported, match="cannot mount idmapped"):
            mount_idmapped(f"{seen}", f"{local.mounts}/1", f"{local.namespace}", False, SLOT)
        assert not (local.mounts / "1").exists()

    def test_no_further_user_namespace(self, tmp_path: Path) -> None:
        child = PROCESSES.Process(target=pin_without_namespaces, args=(f"{tmp_path}/namespace",))
        child.start()
        child.join(60)
        assert child.exitcode == 0


def pin_without_namespaces(path: str) -> None:
    """In a user namespace of its own, whose limit can be set without touching the machine's."""
    call("unshare", CLONE_NEWUSER)
    Path("/proc/self/uid_map").write_text("0 0 1\n")
    Path("/proc/sys/user/max_user_namespaces").write_text("0\n")
    with pytest.raises(IdmapUnsupported, match=r"raise the sysctl user\.max_user_namespaces"):
        pin_user_namespace(path, UIDS, GIDS)
    assert children() == ""
    assert not Path(path).exists()


class TestPin:
    def test_once_is_enough(self, local: Place) -> None:
        before = local.namespace.stat().st_ino
        pin_user_namespace(f"{local.namespace}", UIDS, GIDS)
        assert local.namespace.stat().st_ino == before
        assert mounts_below(f"{local.mounts}") == [f"{local.namespace}"]
        assert children() == ""

    def test_after_a_crash_between_file_and_mount(self, local: Place) -> None:
        unmount(f"{local.namespace}")
        assert local.namespace.is_file()
        pin_user_namespace(f"{local.namespace}", UIDS, GIDS)
        assert owner(local.mount()) == (SLOT, NM_GROUP)

    @pytest.mark.parametrize("pairs", [[(0, 0), (5, 6), (5, 7)], [(0, 0), (5, 0)]])
    def test_an_id_that_is_there_twice(self, tmp_path: Path, pairs: list[tuple[int, int]]) -> None:
        for uids, gids in ((pairs, GIDS), (UIDS, pairs)):
            with pytest.raises(ValueError, match="twice on one side"):
                pin_user_namespace(f"{tmp_path}/namespace", uids, gids)
        assert os.listdir(tmp_path) == []

    def test_an_id_that_the_kernel_refuses(self, tmp_path: Path) -> None:
        with pytest.raises(IdmapUnsupported, match=r"refused the map of ids \[\(0, 0\), \(7, 4294967296\)\]"):
            pin_user_namespace(f"{tmp_path}/namespace", [(0, 0), (7, 1 << 32)], GIDS)
        assert os.listdir(tmp_path) == []
        assert children() == ""

    def test_a_link_at_the_path(self, tmp_path: Path) -> None:
        (tmp_path / "file").touch()
        (tmp_path / "namespace").symlink_to("file")
        with pytest.raises(OSError, match="symbolic links"):
            pin_user_namespace(f"{tmp_path}/namespace", UIDS, GIDS)
        assert mounts_below(f"{tmp_path}") == []

    def test_a_namespace_that_is_not_pinned(self, local: Place) -> None:
        unmount(f"{local.namespace}")
        with pytest.raises(FileNotFoundError, match=f"pin it before it is used: '{local.namespace}'"):
            local.mount()
        assert not local.seen.exists()

    def test_processes_that_race(self, tmp_path: Path) -> None:
        try:
            for number in range(20):
                path = f"{tmp_path}/{number}"
                start = PROCESSES.Barrier(6)
                racers = [PROCESSES.Process(target=pin_at_once, args=(start, path)) for _ in range(6)]
                for racer in racers:
                    racer.start()
                for racer in racers:
                    racer.join(60)
                assert [racer.exitcode for racer in racers] == [0] * 6
                assert mounts_below(f"{tmp_path}").count(path) == 1
        finally:
            unmount_below(f"{tmp_path}")


def pin_at_once(start: Barrier, path: str) -> None:
    start.wait(60)
    pin_user_namespace(path, UIDS, GIDS)
    assert children() == ""


class TestUnmount:
    def test_nothing_is_left(self, place: Place) -> None:
        unmount(f"{place.mount()}")
        assert mounts_below(f"{place.mounts}") == [f"{place.namespace}"]
        place.seen.rmdir()

    def test_a_mount_in_use(self, local: Place) -> None:
        (local.disk / "file").touch()
        with (local.mount() / "file").open():
            unmount(f"{local.seen}")
            local.seen.rmdir()

    @pytest.mark.parametrize("name", ["file", "missing", "file/below"])
    def test_where_nothing_is_mounted(self, tmp_path: Path, name: str) -> None:
        (tmp_path / "file").touch()
        unmount(f"{tmp_path}/{name}")

    def test_a_link_to_a_mount(self, local: Place) -> None:
        (local.mounts / "link").symlink_to(local.mount())
        unmount(f"{local.mounts}/link")
        assert f"{local.seen}" in mounts_below(f"{local.mounts}")

    def test_the_target_must_be_new(self, local: Place) -> None:
        seen = local.mount()
        with pytest.raises(FileExistsError, match=f"{seen}"):
            local.mount()
        assert mounts_below(f"{local.mounts}").count(f"{seen}") == 1
        with pytest.raises(FileNotFoundError, match=f"{local.mounts}/missing/0"):
            local.mount(target=local.mounts / "missing" / "0")

    def test_names_with_blanks_and_worse(self, local: Place) -> None:
        names = ["a b", "a\tb", "a\nb", "a\\b", "a\\040b", "ü"]
        for name in names:
            local.mount(target=local.mounts / name)
        assert set(mounts_below(f"{local.mounts}")) == {f"{local.mounts}/{name}" for name in [*names, "namespace"]}
        unmount_below(f"{local.mounts}")
        assert mounts_below(f"{local.mounts}") == []

    def test_deepest_first_and_nothing_beside(self, local: Place, tmp_path: Path) -> None:
        beside = tmp_path / "mounts-of-another"
        beside.mkdir()
        local.mount(target=beside / "0")
        (local.disk / "a").mkdir()
        os.chown(local.disk / "a", YARN, YARN)
        seen = local.mount()
        subprocess.run(["mount", "-t", "tmpfs", "deep", seen / "a"], check=True)
        subprocess.run(["mount", "-t", "tmpfs", "again", seen / "a"], check=True)
        assert mounts_below(f"{local.mounts}/") == [f"{seen}/a", f"{seen}/a", f"{local.namespace}", f"{seen}"]
        unmount_below(f"{local.mounts}")
        assert mounts_below(f"{local.mounts}") == []
        assert mounts_below(f"{beside}") == [f"{beside}/0"]

    def test_the_sweep_after_a_crash(self, local: Place) -> None:
        victim = PROCESSES.Process(target=mount_forever, args=(local,))
        victim.start()
        while len(mounts_below(f"{local.mounts}")) < 20:
            assert victim.is_alive()
        victim.kill()
        victim.join()
        unmount_below(f"{local.mounts}")
        assert mounts_below(f"{local.mounts}") == []
        shutil.rmtree(local.mounts)
        assert owner(local.disk) == (YARN, NM_GROUP)


def mount_forever(place: Place) -> None:
    number = 0
    while True:
        place.mount(target=place.mounts / f"{number}")
        number += 1
