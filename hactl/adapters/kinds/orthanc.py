"""Kind `orthanc`: Orthanc behind nginx, on nodes that hactl deploys: all can be seen and done."""

from __future__ import annotations

from hactl import layout
from hactl.adapters.archive_http import OrthancHttp
from hactl.adapters.archive_known import KnownImage
from hactl.adapters.archive_routes import MAIN, orthanc_lines
from hactl.adapters.dicom_echo import DicomEcho, Titles
from hactl.adapters.http_keep import KeepAlive
from hactl.adapters.kinds.means import Means
from hactl.ports import ArchiveLines, Reach
from hactl.spec.model import ClusterSpec
from hactl.view.archive_kind import ABLE, Abilities, Program


class OrthancKind:
    abilities: Abilities = ABLE
    program: Program | None = Program(MAIN, "stop-orthanc")

    def __init__(
        self,
        spec: ClusterSpec,
        means: Means,
        *,
        https: int = layout.PORT_HTTPS,
        dicom: int = layout.PORT_DICOM_TLS,
    ) -> None:
        self._spec, self._means, self._https, self._dicom = spec, means, https, dicom

    def once(self, name: str) -> OrthancHttp:
        return OrthancHttp(self._means.http, self._host(name), port=self._https, dicom=self._dicom)

    def again(self, name: str) -> ArchiveLines:
        host, means = self._host(name), self._means
        web = KeepAlive(f"https://{host}:{self._https}", means.https())
        return orthanc_lines(web, self._echo(host), host, self._dicom)

    def _echo(self, host: str) -> DicomEcho | None:
        if not self._means.calling:
            return None
        titles = Titles(self._means.calling, self._spec.archive.aet)
        return DicomEcho(self._means.dicom_tls(), host, self._dicom, titles)

    def reach(self, name: str) -> Reach:
        host = self._host(name)
        web = f"https://{host}/dicom-web"
        return Reach(host, self._dicom, self._spec.archive.aet, tls=True, dicomweb=web)

    def storage(self) -> KnownImage:
        return KnownImage(self._means.http)

    def _host(self, name: str) -> str:
        return str(self._spec.archives[name].address)
