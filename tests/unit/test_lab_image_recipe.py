from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from hactl.errors import Refused
from hactl.lab import image, sources
from hactl.lab.recipe import AFTER, PACKAGES, Recipe

DEBIAN = """\
# made by the installer
Types: deb deb-src
URIs: http://deb.example.org/debian
Suites: bookworm bookworm-updates
Components: main contrib
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg

Types: deb
URIs: http://deb.example.org/debian-security
Suites: bookworm-security
Components: main
"""
FOREIGN = """\
Types: deb
URIs: https://packages.example.org
Suites: nodistro
Components: main

Types: deb
URIs: https://apt.example.org
Suites: bookworm-pgdg
Components: main

Enabled: no
Types: deb
URIs: http://deb.example.org/debian
Suites: bookworm
Components: main

Types: deb
URIs: https://container.example.org/debian
Suites: bookworm
Components: stable

Types: deb-src
URIs: http://deb.example.org/debian
Suites: bookworm
Components: main
"""


def test_debians_own_stanzas_are_taken() -> None:
    found = sources.debian_stanzas(DEBIAN, "bookworm")
    assert [stanza.splitlines()[1] for stanza in found] == [
        "URIs: http://deb.example.org/debian",
        "URIs: http://deb.example.org/debian-security",
    ]
    assert "installer" not in found[0]


def test_other_peoples_disabled_and_source_stanzas_are_not() -> None:
    assert sources.debian_stanzas(FOREIGN, "bookworm") == []


def test_a_continued_field_is_read_whole() -> None:
    text = "Types: deb\nURIs: http://x\nSuites:\n bookworm\n bookworm-updates\nComponents: main\n"
    assert len(sources.debian_stanzas(text, "bookworm")) == 1
    assert sources.debian_stanzas(text.replace("-updates", "-pgdg"), "bookworm") == []


def test_one_line_style() -> None:
    text = """\
# deb http://old.example.org bookworm main
deb [signed-by=/k.gpg arch=amd64] http://deb.example.org/debian bookworm main contrib
deb http://deb.example.org/debian-security bookworm-security main
deb https://packages.example.org sdk-bookworm main
deb-src http://deb.example.org/debian bookworm main
"""
    assert [line.split()[-1] for line in sources.debian_lines(text, "bookworm")] == ["contrib", "main"]


def test_fetching_is_configured_as_the_machine_is() -> None:
    dump = """\
APT::Architecture "amd64";
Acquire "";
Acquire::http "";
Acquire::http::Proxy "http://proxy.example.org:3128";
Acquire::http::Proxy-Auto-Detect "/usr/bin/find-proxy";
Acquire::https::CaInfo "/etc/ssl/own.pem";
Acquire::Languages "";
DPkg::Post-Invoke:: "touch /tmp/x";
"""
    text = sources.acquire_options(dump, {"http_proxy": "http://other:1", "https_proxy": "http://tls:2"})
    assert text == (
        'Acquire::http::Proxy "http://proxy.example.org:3128";\n'
        'Acquire::https::CaInfo "/etc/ssl/own.pem";\n'
        'Acquire::https::Proxy "http://tls:2";\n'
    )


def test_an_environment_cannot_write_apts_configuration() -> None:
    assert sources.acquire_options("", {"http_proxy": 'x"; DPkg::Pre-Invoke {"id"}; #'}) == ""


def test_a_new_input_is_a_new_image() -> None:
    one = Recipe("bookworm", "amd64", DEBIAN)
    assert one.digest == Recipe("bookworm", "amd64", DEBIAN).digest
    for changed in (
        dataclasses.replace(one, packages=(*PACKAGES, "vim")),
        dataclasses.replace(one, after=AFTER + "true\n"),
        dataclasses.replace(one, sources=DEBIAN.replace("deb.", "mirror.")),
    ):
        assert changed.digest != one.digest


def etc(path: Path, release: str, apt: dict[str, str]) -> Path:
    (path / "apt" / "sources.list.d").mkdir(parents=True)
    (path / "os-release").write_text(release, encoding="utf-8")
    for name, text in apt.items():
        (path / "apt" / name).write_text(text, encoding="utf-8")
    return path


BOOKWORM = 'ID=debian\nVERSION_CODENAME="bookworm"\n'


def test_the_recipe_comes_from_this_machines_sources(tmp_path: Path) -> None:
    found = image.recipe(
        etc(tmp_path, BOOKWORM, {"sources.list.d/a.sources": FOREIGN, "sources.list.d/d.sources": DEBIAN})
    )
    assert found.codename == "bookworm"
    assert found.sources.count("URIs:") == 2


def test_one_line_sources_do_as_well(tmp_path: Path) -> None:
    line = "deb http://deb.example.org/debian bookworm main\n"
    assert image.recipe(etc(tmp_path, BOOKWORM, {"sources.list": line})).sources == line


def test_another_release_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Refused, match="Debian 12"):
        image.recipe(etc(tmp_path, "ID=debian\nVERSION_CODENAME=trixie\n", {}))


def test_a_machine_without_sources_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Refused, match="no Debian source"):
        image.recipe(etc(tmp_path, BOOKWORM, {"sources.list.d/a.sources": FOREIGN}))


def test_a_proxys_password_is_not_in_the_builders_argv(tmp_path: Path) -> None:
    argv = image.builder(Recipe("bookworm", "amd64", DEBIAN), tmp_path)
    assert f"--aptopt={tmp_path / 'apt.conf'}" in argv
    assert not any("Proxy" in word for word in argv)


def test_what_the_nodes_need_is_in_the_image() -> None:
    assert {"postgresql-15", "etcd-server", "keepalived", "orthanc", "nginx-light", "fence-agents"} <= set(
        PACKAGES
    )


def test_no_other_account_comes_to_the_image(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = Recipe("bookworm", "amd64", DEBIAN)
    monkeypatch.setattr(image, "CACHE", tmp_path)
    image.root_of(image.path_of(made)).mkdir(parents=True, mode=0o755)
    assert image.ensure(made, "no-scope", lambda _: None).stat().st_mode & 0o077 == 0


def test_old_images_go_unless_a_lab_stands_on_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cache, labs = tmp_path / "cache", tmp_path / "labs"
    monkeypatch.setattr(image, "CACHE", cache)
    monkeypatch.setattr(image, "LABS", labs)
    for name in ("0" * 16, "1" * 16, "2" * 16, "somebody-elses"):
        (cache / name).mkdir(parents=True)
    (labs / "demo").mkdir(parents=True)
    (labs / "demo" / "lab.json").write_text(f'{{"image": "{cache / ("1" * 16)}"}}', encoding="ascii")
    image.remove_all()
    assert {entry.name for entry in cache.iterdir()} == {"1" * 16, "somebody-elses"}
