from __future__ import annotations

import io

from pydicom import dcmread

from hactl.drill import images


def test_the_same_run_and_number_give_the_same_file() -> None:
    assert images.encoded(images.Image("a", 3)) == images.encoded(images.Image("a", 3))
    assert images.encoded(images.Image("a", 3)) != images.encoded(images.Image("b", 3))


def test_uids_are_unique_within_and_between_runs() -> None:
    made = [*images.make("a", 50), *images.make("b", 50)]
    assert len({i.uid for i in made}) == len({i.digest for i in made}) == 100
    assert len({i.study for i in made}) == 2
    assert len({i.series for i in made}) == 6


def test_a_file_can_be_read_and_keeps_its_pixels() -> None:
    image = images.Image("a", 7)
    file = images.encoded(image)
    ds = dcmread(io.BytesIO(file))
    assert (ds.PatientID, ds.SOPInstanceUID, ds.InstanceNumber) == (images.PATIENT, image.uid, 8)
    assert images.digest_of(file) == image.digest


def test_one_changed_bit_is_seen() -> None:
    image = images.Image("a", 7)
    file = bytearray(images.encoded(image))
    file[-1] ^= 1
    assert images.digest_of(bytes(file)) != image.digest
