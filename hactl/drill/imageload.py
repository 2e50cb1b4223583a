"""A modality that sends images to the archive VIP, and reads them back."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable

from pydicom.errors import InvalidDicomError

from hactl.drill.dicom_net import Archive, store
from hactl.drill.dicomweb import Web, wado
from hactl.drill.history import History, Outcome, Store
from hactl.drill.images import Image, digest_of
from hactl.errors import HactlError, Refused, StepFailed, Unreachable


def send(archive: Archive, image: Image, history: History) -> Store:
    """Stores one image and records what is known of it: only a refused association surely kept nothing."""
    begin = time.monotonic()
    outcome, why = Outcome.OK, ""
    try:
        store(archive, image)
    except HactlError as error:
        outcome, why = Outcome.FAIL if isinstance(error, Refused) else Outcome.INFO, error.message
    sent = Store(image.uid, image.digest, begin, time.monotonic(), outcome, why)
    history.add(sent)
    return sent


class ImageLoad:
    """Sends one image after the other, each in an association of its own, until it is stopped."""

    def __init__(self, archive: Archive, run: str, history: History, *, every: float) -> None:
        self.images: list[Image] = []
        self._archive = archive
        self._run = run
        self._history = history
        self._every = every
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._send, daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        self._thread.join(4 * self._archive.within)
        if self._thread.is_alive():
            raise Unreachable("the sender of images did not end in time")

    def _send(self) -> None:
        while not self._stop.is_set():
            begin = time.monotonic()
            image = Image(self._run, len(self.images))
            self.images.append(image)
            send(self._archive, image, self._history)
            self._stop.wait(max(0.0, begin + self._every - time.monotonic()))


def read_back(web: Web, images: Iterable[Image], done: Callable[[], object] = lambda: None) -> dict[str, str]:
    """SOP instance UID -> SHA-256 of the pixels, for those that came back; `done` is called after each.

    Raises Unreachable when the archive cannot be asked: that says nothing about the images.
    """
    found = {}
    for image in images:
        try:
            found[image.uid] = digest_of(wado(web, image))
        except StepFailed:
            found.pop(image.uid, None)
        except (InvalidDicomError, AttributeError):
            found[image.uid] = "not a DICOM image"
        done()
    return found
