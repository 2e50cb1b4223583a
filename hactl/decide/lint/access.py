"""Rules for who gets in: DICOM, HTTP, and the configuration's own file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from hactl.decide.codes import Severity
from hactl.decide.lint.model import Rule, Setting
from hactl.decide.lint.storage import is_not
from hactl.view.orthanc_config import OrthancConfig

_E, _W = Severity.ERROR, Severity.WARNING
MODE: Final = 0o640
_DEFAULT_USERS: Final = {
    "orthanc": "orthanc", "alice": "alicePassword", "admin": "admin", "demo": "demo", "test": "test",
}  # fmt: skip
SAME_AS_NAME: Final = "(the same as the name)"  # how a node tells of such a password without telling it


def _dicom(config: OrthancConfig) -> bool:
    return config.on("DicomServerEnabled", default=True)


def _tls(config: OrthancConfig) -> bool:
    return _dicom(config) and config.on("DicomTlsEnabled", default=False)


def _http(config: OrthancConfig) -> bool:
    return config.on("HttpServerEnabled", default=True)


def _few_threads(config: OrthancConfig, setting: Setting) -> Iterator[str]:
    known = config.get("DicomModalities")
    count = setting.modalities
    if count is None:
        count = len(known) if isinstance(known, Mapping) else 0
    threads = config.number("DicomThreadsCount", 4)
    if _dicom(config) and threads < count:
        yield f"{threads} threads, {count} modalities"


def _open(verbs: tuple[str, ...], default: bool, config: OrthancConfig) -> Iterator[str]:  # noqa: FBT001
    if _dicom(config):
        for verb in verbs:
            yield from is_not(f"DicomAlwaysAllow{verb}", False, default, config)


def _open_read(config: OrthancConfig, _: Setting) -> Iterator[str]:
    return _open(("Find", "FindWorklist", "Get", "Move"), False, config)


def _open_store(config: OrthancConfig, _: Setting) -> Iterator[str]:
    return _open(("Store",), True, config)


def _any_host(config: OrthancConfig, _: Setting) -> Iterator[str]:
    if _dicom(config):
        yield from is_not("DicomCheckModalityHost", True, False, config)


def _any_called(config: OrthancConfig, _: Setting) -> Iterator[str]:
    if _dicom(config):
        yield from is_not("DicomCheckCalledAet", True, False, config)


def _by_rest(config: OrthancConfig, _: Setting) -> Iterator[str]:
    if _dicom(config):
        yield from is_not("DicomModalitiesInDatabase", False, False, config)


def _no_tls(config: OrthancConfig, _: Setting) -> Iterator[str]:
    if _dicom(config):
        yield from is_not("DicomTlsEnabled", True, False, config)


def _tls_files(config: OrthancConfig, _: Setting) -> Iterator[str]:
    for name in ("DicomTlsCertificate", "DicomTlsPrivateKey", "DicomTlsTrustedCertificates"):
        if _tls(config) and not config.get(name):
            yield f"{name} is not set"


def _any_client(config: OrthancConfig, _: Setting) -> Iterator[str]:
    if _tls(config):
        yield from is_not("DicomTlsRemoteCertificateRequired", True, True, config)


def _old_tls(config: OrthancConfig, _: Setting) -> Iterator[str]:
    if not _tls(config) or config.tls_floor:
        return
    name, at_least = "DicomTlsMinimumProtocolVersion", config.number("DicomTlsMinimumProtocolVersion", 0)
    if config.version >= (1, 12, 4):
        if at_least < 4:
            yield f"{name} is {at_least if config.get(name) is not None else 'not set'}"
    elif config.tls_floor is None:
        yield "no setting of this Orthanc's does it, and whether OPENSSL_CONF does is not seen here"
    else:
        yield "no setting of this Orthanc's does it, and OPENSSL_CONF does not"


def _no_password(config: OrthancConfig, _: Setting) -> Iterator[str]:
    # Since 1.5.8 it is on by default where others than this machine get in.
    remote = config.on("RemoteAccessAllowed", default=False)
    if _http(config):
        yield from is_not("AuthenticationEnabled", True, remote and config.version >= (1, 5, 8), config)


def _default_user(config: OrthancConfig, _: Setting) -> Iterator[str]:
    if not _http(config) or not config.on("AuthenticationEnabled", default=True):
        return
    users = config.get("RegisteredUsers")
    if not isinstance(users, Mapping) or not users:
        yield "RegisteredUsers is empty: Orthanc makes orthanc/orthanc where others get in"
        return
    for name, password in users.items():
        if password in {name, SAME_AS_NAME, ""} or _DEFAULT_USERS.get(name) == password:
            yield f"the password of {name} is a well-known one"


def _own_https(config: OrthancConfig, _: Setting) -> Iterator[str]:
    if _http(config):
        yield from is_not("SslEnabled", False, False, config)


def _remote(config: OrthancConfig, _: Setting) -> Iterator[str]:
    if _http(config):
        yield from is_not("RemoteAccessAllowed", False, False, config)


def _lua(config: OrthancConfig, _: Setting) -> Iterator[str]:
    if _http(config):
        yield from is_not("ExecuteLuaEnabled", False, config.version < (1, 5, 8), config)


def _files(config: OrthancConfig, _: Setting) -> Iterator[str]:
    if _http(config):
        yield from is_not("RestApiWriteToFileSystemEnabled", False, config.version < (1, 12, 0), config)


def _readable(config: OrthancConfig, _: Setting) -> Iterator[str]:
    if config.mode is not None and config.mode & 0o777 & ~MODE:
        yield f"rights {config.mode & 0o777:04o}"


def _twice(config: OrthancConfig, _: Setting) -> Iterator[str]:
    if config.twice:
        yield ", ".join(config.twice)


def _repeated(config: OrthancConfig, _: Setting) -> Iterator[str]:
    if config.repeated:
        yield ", ".join(config.repeated)


RULES: Final = (
    Rule("DICOM_FEW_THREADS", _W, "fewer threads than modalities",
         "A call that waits for the database keeps its thread: six hung C-STOREs made a C-ECHO wait 20.6 s.",
         "DicomThreadsCount: at least the number of modalities", _few_threads),
    Rule("DICOM_OPEN_READ", _E, "anybody may search and fetch images",
         "Any AE title, from anywhere, gets the patients' data.",
         "DicomAlwaysAllowFind, FindWorklist, Get, Move: false", _open_read),
    Rule("DICOM_OPEN_STORE", _W, "anybody may store images",
         "Any AE title, from anywhere, puts images among the patients'.",
         "DicomAlwaysAllowStore: false, and the senders in DicomModalities", _open_store),
    Rule("DICOM_ANY_HOST", _W, "a modality is known by its AE title alone",
         "An AE title is no secret: who knows one is let in from any address.",
         "DicomCheckModalityHost: true", _any_host),
    Rule("DICOM_ANY_CALLED", _W, "calls for another archive are accepted",
         "A modality that is set up wrongly stores here, and nobody looks for its images here.",
         "DicomCheckCalledAet: true", _any_called),
    Rule("DICOM_LIST_BY_REST", _W, "the list of modalities is changed over HTTP",
         "Whoever may use the REST API lets anybody in, and no file shows it.",
         "DicomModalitiesInDatabase: false", _by_rest),
    Rule("DICOM_NO_TLS", _E, "DICOM is not encrypted",
         "Images and names cross the network in clear, and can be changed on the way unseen.",
         "DicomTlsEnabled: true, with certificate, key and trusted CA", _no_tls),
    Rule("DICOM_TLS_FILES", _E, "DICOM TLS lacks a file",
         "Orthanc does not start, or trusts nobody.",
         "DicomTlsCertificate, DicomTlsPrivateKey, DicomTlsTrustedCertificates", _tls_files),
    Rule("DICOM_TLS_ANY_CLIENT", _E, "clients need no certificate",
         "Encrypted, but with anybody.",
         "DicomTlsRemoteCertificateRequired: true", _any_client),
    Rule("DICOM_TLS_OLD", _E, "TLS 1.0 and 1.1 are accepted",
         "Debian 12's Orthanc took both from whoever offered nothing better; RFC 8996 forbids them.",
         "Orthanc 1.12.4 or newer: DicomTlsMinimumProtocolVersion: 4; older: an OPENSSL_CONF with "
         "MinProtocol = TLSv1.2 in its environment. Prove it: hactl tls check", _old_tls),
    Rule("HTTP_NO_PASSWORD", _E, "the REST API asks for no password",
         "Whoever reaches the port reads and deletes everything.",
         "AuthenticationEnabled: true", _no_password),
    Rule("HTTP_DEFAULT_USER", _E, "a well-known password opens the REST API",
         "It is the first one that is tried.",
         "RegisteredUsers: names and long random passwords of your own", _default_user),
    Rule("HTTPS_BY_ORTHANC", _E, "Orthanc itself speaks HTTPS",
         "Debian 12's crashed at the first HTTPS request, in three configurations of three.",
         "SslEnabled: false, and a reverse proxy (nginx) that speaks TLS in front", _own_https),
    Rule("HTTP_REMOTE", _E, "the REST API is reachable without encryption",
         "Passwords and images cross the network in clear, past the proxy.",
         "RemoteAccessAllowed: false, with the proxy on the same machine", _remote),
    Rule("HTTP_LUA", _E, "HTTP users may run programs",
         "/tools/execute-script runs any Lua, and that runs anything.",
         "ExecuteLuaEnabled: false", _lua),
    Rule("HTTP_WRITES_FILES", _E, "HTTP users may write files on the server",
         "The routes for export write wherever Orthanc may: its own configuration for one.",
         "RestApiWriteToFileSystemEnabled: false", _files),
    Rule("CONFIG_READABLE", _W, "others may read or change the configuration",
         "Its passwords stand there in clear.",
         "chmod 0640, owned by root and Orthanc's group", _readable),
    Rule("CONFIG_TWICE", _E, "a setting stands in two files of the folder",
         "Orthanc refuses to start.",
         "one place for each setting", _twice),
    Rule("CONFIG_REPEATED", _W, "a setting stands twice in one file",
         "The last one counts, silently.",
         "one place for each setting", _repeated),
)  # fmt: skip
