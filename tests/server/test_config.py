"""The configuration from outside: one table, four sources, checks with line and option, reload, and the files that go with it."""
import json
import os
import pathlib
import signal
import subprocess
import time

import pytest

from conftest import SONANT, SOURCE, eventually, make_home


def run(*arguments, **environment):
    clean = {k: v for k, v in os.environ.items() if not k.startswith("SONANT_")}
    return subprocess.run([SONANT, *map(str, arguments)], capture_output=True, text=True, timeout=60, env={**clean, **environment})


def table():
    return json.loads(run("config", "list", "--format", "json").stdout)


def test_every_option_has_all_its_names():
    options = table()
    assert len(options) > 30
    help_text = run("serve", "--help").stdout
    for o in options:
        assert o["environment"] == "SONANT_" + o["name"].upper() and o["flag"] == "--" + o["name"].replace("_", "-")
        assert o["flag"] in help_text and o["help"]


def test_the_shipped_file_has_every_option_and_is_right():
    shipped = SOURCE / "ops/sonant.conf"
    assert shipped.read_text() == run("config", "list", "--format", "conf").stdout
    assert run("config", "check", shipped).returncode == 0
    plain = "".join(line[1:] for line in shipped.read_text().splitlines(True) if line.startswith("#") and " = " in line and line[1] != " ")
    assert len(plain.splitlines()) == len(table())


def test_the_guide_names_every_option():
    guide = (SOURCE / "docs/operations.md").read_text()
    missing = [o["name"] for o in table() if "`" + o["name"] + "`" not in guide]
    assert not missing


def test_defaults_written_out_change_nothing(tmp_path):
    file = tmp_path / "all.conf"
    file.write_text("".join(f"{o['name']} = {o['default']}\n" for o in table()))
    assert run("config", "show", file).stdout == run("config", "show").stdout


def test_mistakes_are_told_with_line_and_option(tmp_path):
    file = tmp_path / "bad.conf"
    file.write_text("port = 80000\n# fine\nprot = 1\nworkers = many\n\nmax_body = 5X\nhost\nport = 81\npage = perhaps\nhost = a\nhost = b\n")
    result = run("config", "check", file)
    assert result.returncode == 2
    for part in (":1: port is 80000", ":3: there is no option \"prot\"; the nearest is p", ":4: workers", ":6: max_body", ":7:", ":8: port was set above", ":9: page",
                 ":11: host was set above"):
        assert part in result.stderr, part
    assert run("serve", "--config", file).returncode == 2


@pytest.mark.parametrize("options, part", [(["--tls-key", "k"], "tls_certificate"), (["--dtype", "f16"], "dtype"), (["--require-key", "maybe"], "require_key"),
                                           (["--max-json", "1G", "--max-body", "1M"], "max_json"), (["--port", "x"], "port"), (["--nonsense", "1"], "nonsense")])
def test_wrong_options_end_with_status_2(options, part):
    result = run("serve", "--port", "0", *options)
    assert result.returncode == 2 and part in result.stderr


def test_sources_in_rising_precedence(tmp_path):
    file = tmp_path / "c.conf"
    file.write_text('workers = 3\nmax_queue = 7\nhost = "127.0.0.1"\n')
    shown = dict(line.split(" = ", 1) for line in run("config", "show", file, SONANT_WORKERS="5").stdout.splitlines())
    assert shown["workers"] == "5" and shown["max_queue"] == "7" and shown["host"] == "127.0.0.1"
    assert run("config", "check", file, SONANT_WORKERS="none").returncode == 2
    assert run("config", "check", tmp_path / "missing").returncode == 8 or run("config", "check", tmp_path / "missing").returncode == 3


def test_a_port_that_is_taken_is_told(serve):
    s = serve(preload="none")
    result = run("serve", "--port", s.port, "--preload", "none", "--home", make_home(s.home / "other"))
    assert result.returncode == 8 and str(s.port) in result.stderr


def test_a_reload_takes_what_may_change(serve, tmp_path):
    file = tmp_path / "r.conf"
    file.write_text("max_json = 1M\nworkers = 2\n")
    s = serve(preload="none", config=file)
    assert s.get("/audio/config").json["config"]["max_json"] == 1 << 20
    file.write_text("max_json = 2M\nworkers = 9\nrate = 100\n")
    s.process.send_signal(signal.SIGHUP)
    until = time.monotonic() + 10
    while s.get("/audio/config").json["config"]["max_json"] != 2 << 20:
        assert time.monotonic() < until
        time.sleep(0.05)
    now = s.get("/audio/config").json["config"]
    assert now["rate"] == 100 and now["workers"] == 2
    file.write_text("max_json = nonsense\n")
    s.process.send_signal(signal.SIGHUP)
    assert eventually(lambda: "stays as it was" in pathlib.Path(s.log).read_text())
    assert s.get("/audio/config").json["config"]["max_json"] == 2 << 20
    remarks = pathlib.Path(s.log).read_text()
    assert "wait for another start: workers" in remarks


def test_it_listens_before_the_models_are_there(serve):
    s = serve()
    assert s.get("/health/live").status == 200
    assert s.get("/health/ready").status in (200, 503)
