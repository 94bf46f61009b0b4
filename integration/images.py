"""The node image and the job image, from Debian packages, without a Docker registry.

Root file systems are made on the outer machine (debootstrap, then apt in a chroot), so that apt works as
it does there, and imported into the outer engine under a tag that names their content.
"""

import hashlib
import os
import platform
import shutil
import subprocess
import tempfile
import threading
from pathlib import Path

from integration import accounts
from integration.engine import docker_argv
from integration.paths import INTEGRATION, cache
from integration.shell import ClusterError, run, step

JOB_PACKAGES = ("openjdk-17-jre-headless", "python3", "procps", "iproute2", "bash")
NODE_PACKAGES = (
    *JOB_PACKAGES,
    "docker.io",
    "containerd",
    "runc",
    "iptables",
    "nftables",
    "conntrack",
    "curl",
    "util-linux",
)
JAVA_HOME = "/usr/lib/jvm/java-17-openjdk-amd64"
JOB_IMAGE = "local/yarn-job:latest"
"""What tenants' containers run: its name on the nodes, in yarn-site.xml and container-executor.cfg."""

ENVIRONMENT = {
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "JAVA_HOME": JAVA_HOME,
}
NODE_ENVIRONMENT = {
    **ENVIRONMENT,
    "HADOOP_CONF_DIR": "/etc/hadoop",
    "SPARK_HOME": "/opt/spark",
    "PYSPARK_PYTHON": "/usr/bin/python3",
}


def node_image() -> str:
    """The node image's name; the tag changes with what it is made of."""
    return f"yarn-kata/node:{_recipe(*NODE_PACKAGES, accounts.passwd(), accounts.group(), *_pairs())}"


def job_image() -> str:
    """The job image's name in the outer engine."""
    return f"yarn-kata/job:{_recipe(*JOB_PACKAGES, *_pairs())}"


def build() -> None:
    """Make the images that the outer engine does not have."""
    missing = [image for image in (node_image(), job_image()) if not exists(image)]
    if not missing:
        return
    scratch = cache() / "images"
    scratch.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=scratch) as folder, step(f"building {' and '.join(missing)}"):
        _build(Path(folder), missing)


def exists(image: str) -> bool:
    return run(docker_argv("image", "inspect", image), check=False).returncode == 0


def _build(folder: Path, missing: list[str]) -> None:
    base = folder / "base"
    _debootstrap(base)
    problems: list[ClusterError] = []

    def make(image: str) -> None:
        try:
            if image == node_image():
                _make_node(base, folder / "node", image)
            else:
                _make_job(base, folder / "job", image)
        except ClusterError as error:
            problems.append(error)

    threads = [threading.Thread(target=make, args=(image,)) for image in missing]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if problems:
        raise problems[0]


def _make_node(base: Path, rootfs: Path, image: str) -> None:
    _install(base, rootfs, NODE_PACKAGES)
    with open(rootfs / "etc/passwd", "a") as file:
        file.write(accounts.passwd())
    with open(rootfs / "etc/group", "a") as file:
        file.write(accounts.group())
    for user in accounts.USERS:
        home = rootfs / user.home.lstrip("/")
        home.mkdir(mode=0o700)
        os.chown(home, user.uid, user.gid)
    _import(rootfs, image, NODE_ENVIRONMENT)


def _make_job(base: Path, rootfs: Path, image: str) -> None:
    _install(base, rootfs, JOB_PACKAGES)
    _import(rootfs, image, ENVIRONMENT)


def _debootstrap(target: Path) -> None:
    sources = _debian_sources()
    mirror, codename, _ = sources[0]
    run(["debootstrap", "--variant=minbase", "--include=ca-certificates", codename, target, mirror])
    lines = [f"deb {uri} {name} {components}\n" for uri, name, components in sources]
    (target / "etc/apt/sources.list").write_text("".join(lines))
    (target / "etc/apt/apt.conf.d/00outer").write_text(_acquire_options())
    bundle = Path("/etc/ssl/certs/ca-certificates.crt")
    if bundle.exists():
        shutil.copy(bundle, target / "etc/ssl/outer.crt")
    (target / "usr/sbin/policy-rc.d").write_text("#!/bin/sh\nexit 101\n")  # start no services
    (target / "usr/sbin/policy-rc.d").chmod(0o755)
    (target / "etc/dpkg/dpkg.cfg.d/outer").write_text(
        "force-unsafe-io\npath-exclude=/usr/share/doc/*\npath-exclude=/usr/share/man/*\n"
    )
    _chroot(target, ["apt-get", "-q", "update"])


def _debian_sources() -> list[tuple[str, str, str]]:
    """(URI, release, components) of the outer machine's Debian sources, the main one first."""
    codename = platform.freedesktop_os_release()["VERSION_CODENAME"]
    listing = run(
        [
            "apt-get",
            "indextargets",
            "--format",
            "$(REPO_URI) $(CODENAME) $(COMPONENT)",
            "Identifier: Packages",
            "Origin: Debian",
        ]
    ).stdout
    components: dict[tuple[str, str], list[str]] = {}
    for line in listing.splitlines():
        uri, name, component = line.split()
        if name.startswith(codename) and "backports" not in name:
            components.setdefault((uri, name), []).append(component)
    sources = [(uri, name, " ".join(parts)) for (uri, name), parts in components.items()]
    if not any(name == codename for _, name, _ in sources):
        raise ClusterError(f"apt of this machine has no source of Debian {codename}: run apt-get update")
    return sorted(sources, key=lambda source: source[1])


def _acquire_options() -> str:
    """The outer apt's Acquire settings (proxies and the like), for the time of the build."""
    lines = run(["apt-config", "dump"]).stdout.splitlines()
    kept = [line for line in lines if line.startswith("Acquire::") and not line.endswith('"";')]
    return "\n".join([*kept, 'Acquire::https::CAInfo "/etc/ssl/outer.crt";', ""])


def _install(base: Path, rootfs: Path, packages: tuple[str, ...]) -> None:
    run(["cp", "-a", "--reflink=auto", base, rootfs])
    _chroot(rootfs, ["apt-get", "-q", "-y", "install", "--no-install-recommends", *packages])
    _chroot(rootfs, ["apt-get", "clean"])
    for list_file in (rootfs / "var/lib/apt/lists").iterdir():
        if list_file.is_file():
            list_file.unlink()
    for leftover in ("etc/apt/apt.conf.d/00outer", "etc/ssl/outer.crt", "usr/sbin/policy-rc.d"):
        (rootfs / leftover).unlink(missing_ok=True)


def _chroot(rootfs: Path, argv: list[str]) -> None:
    namespace = ["unshare", "--mount", "--pid", "--fork", "--kill-child"]
    enter = ["/usr/bin/python3", "-I", str(INTEGRATION / "node/chroot.py"), str(rootfs)]
    run([*namespace, *enter, *argv], env={"DEBIAN_FRONTEND": "noninteractive", "LC_ALL": "C.UTF-8"})


def _import(rootfs: Path, image: str, environment: dict[str, str]) -> None:
    changes = [f"--change=ENV {name}={value}" for name, value in environment.items()]
    with subprocess.Popen(
        ["tar", "--numeric-owner", "-C", rootfs, "-c", "."], stdout=subprocess.PIPE
    ) as tar:
        done = subprocess.run(
            docker_argv("import", *changes, "-", image), stdin=tar.stdout, capture_output=True, text=True
        )
    if done.returncode != 0 or tar.returncode != 0:
        raise ClusterError(f"docker import of {image} failed: {done.stderr.strip()}")


def _pairs() -> list[str]:
    return [f"{name}={value}" for name, value in NODE_ENVIRONMENT.items()]


def _recipe(*parts: str) -> str:
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:12]
