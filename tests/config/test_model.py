"""Each mistake in config.toml is one sentence that names the option and the value."""

from __future__ import annotations

import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.config.examples import FULL, MINIMAL, changed
from yarn_kata_runtime.config.compile import Invalid, compile_policy, read
from yarn_kata_runtime.config.model import DEFAULT_CAPABILITIES, Config, Ports


def mistakes(path: Path, text: str) -> tuple[str, ...]:
    """Return what is wrong with a configuration."""
    path.write_text(text)
    with pytest.raises(Invalid) as invalid:
        read(str(path))
    assert str(invalid.value) == "; ".join(invalid.value.args)
    return invalid.value.args


class TestValid:
    def test_the_least(self, tmp_path: Path) -> None:
        path = tmp_path / "config.toml"
        path.write_text(MINIMAL)
        config = read(str(path))
        assert (config.foreign, config.node.yarn_user, config.node.yarn_group) == ("runc", "yarn", "hadoop")
        given = config.classes["runc"]
        assert (given.networks, given.mounts_ro, given.mounts_rw) == (
            ["bridge"],
            ["/etc/passwd", "/etc/group"],
            [],
        )
        assert (given.capabilities, given.devices, given.no_new_privileges) == (
            DEFAULT_CAPABILITIES,
            False,
            True,
        )
        assert (config.ports.mode, config.ports.first, config.ports.last, config.ports.block) == (
            "on",
            16384,
            32767,
            256,
        )

    def test_everything(self, tmp_path: Path) -> None:
        path = tmp_path / "config.toml"
        path.write_text(FULL)
        config = read(str(path))
        assert config.node.local_dirs == ["/data1/local", "/data2/local"], "no slash at the end"
        assert config.classes["gvisor"].mounts_rw == ["/srv"]
        assert (config.tenants[0].name, config.tenants[1].name) == ("analytics", "")
        assert (config.ports.first, config.ports.last) == (20480, 24575)

    @pytest.mark.parametrize(
        ("pool", "block"),
        [("1024-1039", 16), ("16384-32767", 8192), ("57344-65535", 8192), ("20480-20735", 256)],
    )
    def test_pools(self, pool: str, block: int) -> None:
        ports = Ports(mode="on", pool=pool, block=block)
        assert f"{ports.first}-{ports.last}" == pool

    def test_slots_off_need_no_accounts(self, tmp_path: Path) -> None:
        path = tmp_path / "config.toml"
        path.write_text(changed(MINIMAL, 'accounts = ["slot1"]', 'mode = "off"'))
        assert read(str(path)).slots.accounts == []


POOL = 'pool = "20480-24575"'
MISTAKES = [  # in FULL: what is there, what is put in its place, the sentence
    (
        'foreign = "plain"',
        'foreign = "x"',
        "foreign is 'x', but there is no [classes.x]; there are plain, gvisor, forced",
    ),
    (
        'foreign = "plain"\n',
        "",
        "foreign is 'runc', but there is no [classes.runc]; there are plain, gvisor, forced",
    ),
    ('foreign = "plain"', "foreign = 1", "foreign is 1; input should be a valid string"),
    (
        'class = "forced"',
        'class = "x"',
        "tenants[1].class is 'x', but there is no [classes.x]; there are plain, gvisor, forced",
    ),
    ('class = "forced"', "", "tenants[1].class is missing"),
    ('class = "forced"', 'runtime_class = "forced"', "tenants[1].class is missing"),
    ('users = ["b?b"]', "", "tenants[1].users is missing"),
    ('users = ["b?b"]', "users = []", "tenants[1].users is []; list should have at least 1 item"),
    ('users = ["b?b"]', 'users = "bob"', "tenants[1].users is 'bob'; input should be a valid list"),
    ('users = ["b?b"]', "users = [7]", "tenants[1].users[0] is 7; input should be a valid string"),
    (
        "max_containers = 20",
        "max_containers = -1",
        "tenants[0].max_containers is -1; input should be greater than or equal to 0",
    ),
    (
        "max_containers = 20",
        'max_containers = "20"',
        "tenants[0].max_containers is '20'; input should be a valid integer",
    ),
    (
        "max_containers = 20",
        "max_containers = true",
        "tenants[0].max_containers is True; input should be a valid integer",
    ),
    ("max_containers = 20", "limit = 20", "tenants[0].limit: there is no such option; take it out"),
    ('local_dirs = ["/data1/local/", "/data2/local"]', "", "node.local_dirs is missing"),
    (
        'local_dirs = ["/data1/local/", "/data2/local"]',
        "local_dirs = []",
        "node.local_dirs is []; list should have at least 1 item",
    ),
    (
        '"/data2/local"',
        '"data2"',
        "node.local_dirs[1]: 'data2' is no absolute path below / without '..' and '//'",
    ),
    ('"/data2/local"', '"/"', "node.local_dirs[1]: '/' is no absolute path below / without '..' and '//'"),
    (
        '"/data2/log"',
        '"/a/../b"',
        "node.log_dirs[1]: '/a/../b' is no absolute path below / without '..' and '//'",
    ),
    (
        '"/data2/log"',
        '"/a/.."',
        "node.log_dirs[1]: '/a/..' is no absolute path below / without '..' and '//'",
    ),
    (
        '"/data2/log"',
        '"/a//b"',
        "node.log_dirs[1]: '/a//b' is no absolute path below / without '..' and '//'",
    ),
    (
        "share_hosts = false",
        'share_hosts = "no"',
        "node.share_hosts is 'no'; input should be a valid boolean",
    ),
    ('hostname = "node1.example.org"', 'host = "x"', "node.host: there is no such option; take it out"),
    (
        'hostname = "node1.example.org"',
        'hostname = "a\\u0000"',
        "node.hostname: 'a\\x00' holds a NUL character; no path or argument may",
    ),
    ("[classes.forced]", "[classes.'a b']", "classes.a b.[key] is 'a b'; string should match pattern"),
    ('driver = "oci"', 'driver = "magic"', "classes.gvisor.driver is 'magic'; input should be 'oci'"),
    ('path = "/usr/local/bin/runsc"', "", "classes.gvisor.path is missing"),
    ('path = "/usr/local/bin/runsc"', 'path = "runsc"', "classes.gvisor.path: 'runsc' is no absolute path"),
    ('"--platform=systrap"', '"a\\u0000b"', "classes.gvisor.args[0]: 'a\\x00b' holds a NUL character"),
    (
        'ports = "init"',
        'ports = "magic"',
        "classes.forced.ports is 'magic'; input should be 'auto', 'sysctl' or 'init'",
    ),
    (
        'networks = ["bridge", "host"]',
        'networks = ["none"]',
        "classes.gvisor.networks[0] is 'none'; input should be 'bridge' or 'host'",
    ),
    (
        '"CAP_KILL"',
        '"KILL"',
        "classes.gvisor.capabilities[0]: 'KILL' is no capability; write it as in CAP_CHOWN",
    ),
    (
        '"CAP_KILL"',
        '"CAP_kill"',
        "classes.gvisor.capabilities[0]: 'CAP_kill' is no capability; write it as in CAP_CHOWN",
    ),
    ("devices = true", "devices = 1", "classes.gvisor.devices is 1; input should be a valid boolean"),
    (
        "kill_grace = 2.5",
        "kill_grace = 301",
        "classes.gvisor.kill_grace is 301; input should be less than or equal to 300",
    ),
    (
        "kill_grace = 2.5",
        "kill_grace = -0.1",
        "classes.gvisor.kill_grace is -0.1; input should be greater than or equal to 0",
    ),
    ("kill_grace = 2.5", "kill_grace = nan", "classes.gvisor.kill_grace is nan; input should be"),
    ("kill_grace = 2.5", "kill_grace = inf", "classes.gvisor.kill_grace is inf; input should be"),
    ("pids = 4096", "pids = 1.5", "classes.gvisor.pids is 1.5; input should be a valid integer"),
    ("open_files = 65536", "nofile = 65536", "classes.gvisor.nofile: there is no such option; take it out"),
    (
        'accounts = ["slot1", "slot2"]',
        "",
        "slots: slots.mode is 'on' but slots.accounts names none; name some or set mode = 'off'",
    ),
    ('"slot2"', '"slot1"', "slots: slots.accounts names an account twice; no two slots may be one account"),
    ('"slot2"', '"a/b"', "slots.accounts[1] is 'a/b'; string should match pattern"),
    (
        'accounts = ["slot1", "slot2"]',
        'names = ["slot1"]',
        "slots.names: there is no such option; take it out",
    ),
    (POOL, 'pool = "20480"', "ports.pool is '20480'; string should match pattern"),
    (POOL, 'pool = "a-b"', "ports.pool is 'a-b'; string should match pattern"),
    (POOL, "pool = 20480", "ports.pool is 20480; input should be a valid string"),
    (POOL, 'pool = "200000-300000"', "ports.pool is '200000-300000'; string should match pattern"),
    (POOL, 'pool = "0-1023"', "ports: ports.pool is 0-1023; it must lie within 1024-65535"),
    (POOL, 'pool = "61440-65536"', "ports: ports.pool is 61440-65536; it must lie within 1024-65535"),
    (POOL, 'pool = "24575-20480"', "ports: ports.pool is 24575-20480; it must lie within 1024-65535"),
    (
        POOL,
        'pool = "20481-24575"',
        "ports: ports.pool 20481-24575 does not begin and end on a multiple of 128 ports",
    ),
    (
        POOL,
        'pool = "20480-24576"',
        "ports: ports.pool 20480-24576 does not begin and end on a multiple of 128 ports",
    ),
    ("block = 128", "block = 100", "ports: ports.block is 100; it must be a power of two, such as 256"),
    ("block = 128", "block = 8", "ports.block is 8; input should be greater than or equal to 16"),
    ("block = 128", "block = 16384", "ports.block is 16384; input should be less than or equal to 8192"),
    (
        "block = 128",
        "block = 8192",
        "ports: ports.pool 20480-24575 does not begin and end on a multiple of 8192 ports",
    ),
]


class TestMistakes:
    @pytest.mark.parametrize(("old", "new", "sentence"), MISTAKES)
    def test_one_mistake_one_sentence(self, old: str, new: str, sentence: str, tmp_path: Path) -> None:
        found = mistakes(tmp_path / "config.toml", changed(FULL, old, new))
        others = "there is no such option" if new.startswith("runtime_class") else None
        assert [text.startswith(sentence) for text in found if not others or others not in text] == [True], (
            found
        )

    def test_all_mistakes_at_once(self, tmp_path: Path) -> None:
        text = changed(changed(FULL, "pids = 4096", "pids = -1"), "block = 128", 'block = "x"')
        found = mistakes(tmp_path / "config.toml", changed(text, "share_hosts = false", "shared = 1"))
        assert [text.partition(" ")[0].rstrip(":") for text in found] == [
            "node.shared",
            "classes.gvisor.pids",
            "ports.block",
        ]

    @pytest.mark.parametrize("section", ["node", "classes.plain", "slots", "ports"])
    def test_unknown_keys(self, section: str, tmp_path: Path) -> None:
        text = changed(FULL, f"[{section}]", f"[{section}]\nunheard_of = 1")
        assert mistakes(tmp_path / "c", text) == (
            f"{section}.unheard_of: there is no such option; take it out",
        )

    def test_unknown_sections(self, tmp_path: Path) -> None:
        assert mistakes(tmp_path / "c", f"{FULL}\n[kata]\nx = 1") == (
            "kata: there is no such option; take it out",
        )

    @pytest.mark.parametrize("section", ["node", "classes", "tenants", "slots"])
    def test_missing_sections(self, section: str, tmp_path: Path) -> None:
        document = tomllib.loads(MINIMAL)
        assert set(document) == {"node", "classes", "tenants", "slots"}
        lines, keep = [], True
        for line in MINIMAL.splitlines():
            if line.startswith("["):
                keep = line.strip("[]").split(".")[0] != section
            lines += [line] if keep else []
        assert mistakes(tmp_path / "c", "\n".join(lines)) == (f"{section} is missing",)

    def test_an_empty_file(self, tmp_path: Path) -> None:
        names = ("node", "classes", "tenants", "slots")
        assert mistakes(tmp_path / "c", "") == tuple(f"{name} is missing" for name in names)

    def test_a_long_value_is_cut(self, tmp_path: Path) -> None:
        (sentence,) = mistakes(tmp_path / "c", changed(FULL, '"/data2/log"', f'{{ x = "{"y" * 5000}" }}'))
        assert sentence.startswith("node.log_dirs[1] is {'x': 'yyy") and len(sentence) < 200

    @pytest.mark.parametrize(
        "text",
        [
            "[node",
            "x = ",
            "x = 1\nx = 2",
            "[a]\n[a]",
            "= 1",
            '"',
            "x = 1" + "0" * 5000,
            "x = " + "[" * 5000,
            "\ud800",
        ],
    )
    def test_what_is_no_toml(self, text: str, tmp_path: Path) -> None:
        path = tmp_path / "config.toml"
        path.write_text(text, errors="replace")
        with pytest.raises(Invalid, match="^it is not TOML: "):
            read(str(path))


toml_values = st.sampled_from(
    [
        "1",
        "-1",
        "1.5",
        "nan",
        "true",
        '""',
        '"x"',
        '"/"',
        '"/x"',
        "[]",
        '["x"]',
        "[1]",
        "{}",
        "{ x = 1 }",
        "1979-05-27",
    ]
    + ['"\\u0000"', '"on"', '"off"', '"root"', '["slot1"]', '["root"]', "[[]]", "[" * 300]
)


@pytest.fixture
def folder(accounts: object, tmp_path: Path) -> Path:
    return tmp_path


@settings(max_examples=400, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_values_are_a_policy_or_invalid(folder: Path, data: st.DataObject) -> None:
    """Nothing but Invalid comes out of a file, whatever stands in it."""
    lines = FULL.splitlines()
    settable = [index for index, line in enumerate(lines) if " = " in line]
    for index in data.draw(st.lists(st.sampled_from(settable), min_size=1, max_size=3)):
        lines[index] = lines[index].partition(" = ")[0] + " = " + data.draw(toml_values)
    path = folder / "config.toml"
    path.write_text("\n".join(lines))
    try:
        policy = compile_policy(read(str(path)))
    except Invalid as invalid:
        assert invalid.args and all(invalid.args)
        return
    assert policy["foreign"]["name"] in policy["classes"]
    assert {tenant["runtime_class"] for tenant in policy["tenants"]} <= set(policy["classes"])


def test_the_model_is_frozen(write: Callable[[str], None], config: Path) -> None:
    write(MINIMAL)
    found = read(str(config))
    assert isinstance(found, Config)
    with pytest.raises(ValueError, match="frozen"):
        found.foreign = "x"
