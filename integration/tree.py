"""What the nodes have at /opt/cluster: rendered configuration, container-executor, this package.

It is put together anew when a source of it has changed.
"""

import hashlib
import shutil
from pathlib import Path

from integration import hadoop
from integration.engine import GATEWAY
from integration.images import JOB_IMAGE
from integration.paths import HADOOP_CONF_TEMPLATES, INTEGRATION, REPOSITORY, cache
from integration.shell import run, step

MASTER = "rm"
LOCAL_DIR = "/data/yarn/local"
LOG_DIR = "/data/yarn/log"
RUNTIME_PREFIX = "/opt/yarn-kata-runtime"
LIBRARY = "/opt/yarn/libexec/container-executor"
PROGRAM = "/opt/yarn/bin/container-executor"

# The nodes know each other by their hosts files; where they ask for other names nobody listens, and the refusal
# is at once. Without this they would wait for Docker's resolver, which has none to ask: 10 to 20 s a name.
RESOLV_CONF = f"nameserver {GATEWAY}\noptions timeout:1 attempts:1\n"

# What the package is made of, and what the rest is: the content tells whether they have to be made anew.
PACKAGE_SOURCES = ("yarn_kata_runtime", "setup.py", "pyproject.toml", "requirements.lock", "Makefile")
OTHER_SOURCES = (
    "integration/tree.py",
    "hadoop-conf",
    "integration/node",
    "integration/container_executor",
    "integration/config.toml",
)


def tree() -> Path:
    return cache() / "cluster"


def runtime() -> Path:
    """The installed package: the root that `make install` was given."""
    return tree() / "runtime"


def current() -> bool:
    """Is what is there made of the sources as they are now?"""
    stamp = tree() / "stamp"
    return stamp.exists() and stamp.read_text() == _stamp()


def assemble() -> None:
    """Put the tree together; nodes that have it mounted must be gone."""
    tree().mkdir(parents=True, exist_ok=True)
    (tree() / "stamp").unlink(missing_ok=True)
    _install_runtime()
    _render(HADOOP_CONF_TEMPLATES, tree() / "conf")
    (tree() / "resolv.conf").write_text(RESOLV_CONF)
    (tree() / "config.toml").write_text(render_text((INTEGRATION / "config.toml").read_text()))
    for program in ("init.py", "daemon.py"):
        shutil.copy(INTEGRATION / "node" / program, tree() / program)
    _container_executor(tree() / "yarn")
    (tree() / "stamp").write_text(_stamp())


def container_executor() -> str:
    """Which container-executor the tree has, in words."""
    genuine = hadoop.genuine_container_executor()
    if genuine:
        return f"the genuine container-executor of {genuine}"
    return "a stand-in for container-executor (set HADOOP_HOME or HADOOP_DIST to run the genuine one)"


def _render(templates: Path, target: Path) -> None:
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir()
    for template in templates.iterdir():
        (target / template.name).write_text(render_text(template.read_text()))


def render_text(text: str) -> str:
    """A template's text with its @WORDS@ filled in."""
    words = {
        "MASTER": MASTER,
        "LOCAL_DIRS": LOCAL_DIR,
        "LOG_DIRS": LOG_DIR,
        "HDFS_DIR": "/data/hdfs",
        "IMAGE": JOB_IMAGE,
        "REGISTRY": JOB_IMAGE.partition("/")[0],
        "MEMORY_MB": "6144",
        "VCORES": "6",
        "NM_CGROUPS": "true" if Path("/sys/fs/cgroup/memory").is_dir() else "false",
    }
    for word, value in words.items():
        text = text.replace(f"@{word}@", value)
    return text


def _container_executor(target: Path) -> None:
    shutil.rmtree(target, ignore_errors=True)
    for folder in ("bin", "etc/hadoop"):
        (target / folder).mkdir(parents=True)
    shutil.copy(tree() / "conf/container-executor.cfg", target / "etc/hadoop/container-executor.cfg")
    genuine = hadoop.genuine_container_executor()
    if genuine:
        shutil.copy(genuine, target / "bin/container-executor")
    else:
        build_stand_in(target)


def build_stand_in(target: Path) -> None:
    """The setuid program in bin/ and what it executes in libexec/, to be installed as /opt/yarn."""
    source = INTEGRATION / "container_executor"
    library = target / "libexec/container-executor"
    (library / "integration").mkdir(parents=True)
    (target / "bin").mkdir(exist_ok=True)
    (library / "integration/__init__.py").touch()
    shutil.copytree(source, library / "integration/container_executor", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(source / "__main__.py", library / "__main__.py")
    defines = [f'-DLIBRARY="{LIBRARY}"', f'-DPROGRAM="{PROGRAM}"']
    run(["gcc", "-O2", "-Wall", *defines, "-o", target / "bin/container-executor", source / "wrapper.c"])
    run(["/usr/bin/python3", "-m", "compileall", "-q", library])


def _install_runtime() -> None:
    stamp, wanted = tree() / "runtime.stamp", _fingerprint(PACKAGE_SOURCES)
    if stamp.exists() and stamp.read_text() == wanted:
        return
    stamp.unlink(missing_ok=True)
    with step("installing yarn-kata-runtime"):
        shutil.rmtree(runtime(), ignore_errors=True)
        make = ["make", "--silent", f"--directory={REPOSITORY}", "install"]
        run([*make, f"DESTDIR={runtime()}", f"PREFIX={RUNTIME_PREFIX}"])
    stamp.write_text(wanted)


def _stamp() -> str:
    return f"{_fingerprint(PACKAGE_SOURCES + OTHER_SOURCES)} {container_executor()}"


def _fingerprint(sources: tuple[str, ...]) -> str:
    """The content of the sources, with the names of the files."""
    digest = hashlib.sha256()
    for source in sources:
        top = REPOSITORY / source
        files = [top] if top.is_file() else sorted(top.rglob("*"))
        for file in files:
            # Programs that the build leaves beside the sources have no suffix.
            if file.is_file() and "__pycache__" not in file.parts and (file.suffix or file == top):
                digest.update(f"{file.relative_to(REPOSITORY)}\0".encode() + file.read_bytes() + b"\0")
    return digest.hexdigest()
