# Copyright (c) 2026, the holdfast.db maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is stored is what was written, compressed, encrypted and hashed; any change to it is found."""

from __future__ import annotations

import hashlib
import os
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from ansible_collections.holdfast.db.plugins.module_utils.accounts import account_named
from ansible_collections.holdfast.db.plugins.module_utils.artifacts import ArtifactReader, ArtifactWriter
from ansible_collections.holdfast.db.plugins.module_utils.encodings import Identity, check_recipients, shell_decoding
from ansible_collections.holdfast.db.plugins.module_utils.errors import BadInput, Damaged, Refused, ToolFailed
from ansible_collections.holdfast.db.plugins.module_utils.external import ExternalFile
from ansible_collections.holdfast.db.plugins.module_utils.folders import Folder
from ansible_collections.holdfast.db.plugins.module_utils.model import Compression
from ansible_collections.holdfast.db.plugins.module_utils.pipeline import Command, Processes

CONTENT = b"the very bytes\n" * 10_000
PRODUCER = Command(("sh", "-c", "for n in $(seq 10000); do echo the very bytes; done"))


@pytest.fixture(scope="session")
def key(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    """(path of the identity, its recipient)."""
    path = tmp_path_factory.mktemp("age") / "identity"
    subprocess.run(["age-keygen", "-o", path], check=True, capture_output=True)
    recipient = subprocess.run(["age-keygen", "-y", path], check=True, capture_output=True, text=True).stdout.strip()
    return str(path), recipient


@pytest.fixture
def folder(tmp_path: Path):
    with Folder.open(str(tmp_path)) as opened:
        yield opened


def writer(folder: Folder, kind: str = "zstd", recipients: tuple[str, ...] = ()) -> ArtifactWriter:
    return ArtifactWriter(folder, Processes(), Compression(kind), recipients)


def plain_bytes(folder: Folder, artifact, identity: Identity | None = None) -> bytes:
    reader = ArtifactReader(folder, Processes(), identity)
    with reader.plain(artifact) as (descriptor, commands):
        return Processes().feed(commands, descriptor)


@pytest.mark.parametrize(("kind", "suffix"), [("zstd", ".zst"), ("none", "")])
def test_a_stream_comes_back_as_it_was(folder: Folder, kind: str, suffix: str) -> None:
    artifact, _tap = writer(folder, kind).stream("dump", "dump", [PRODUCER])
    assert artifact.name == "dump" + suffix
    stored = Path(folder.path, artifact.name).read_bytes()
    assert (artifact.size, artifact.sha256) == (len(stored), hashlib.sha256(stored).hexdigest())
    assert plain_bytes(folder, artifact) == CONTENT
    ArtifactReader(folder, Processes()).check(artifact)


def test_a_short_text_is_not_worth_starting_zstd_for_and_a_long_one_is(folder: Folder, key) -> None:
    reader = ArtifactReader(folder, Processes(), Identity(file=key[0]))
    for text, plain, secret in [
        ("f\u00fcnf", ("t1",), ("t2", "age")),
        ("x" * 70_000, ("t3", "zst"), ("t4", "zst", "age")),
    ]:
        for words, recipients in [(plain, ()), (secret, (key[1],))]:
            artifact = writer(folder, recipients=recipients).text(words[0], "note", text)
            assert artifact.name == ".".join(words)
            assert reader.text(artifact) == text


@pytest.mark.parametrize("kind", ["zstd", "none"])
def test_an_encrypted_stream_needs_the_identity(folder: Folder, key, kind: str, tmp_path: Path) -> None:
    artifact, tap = writer(folder, kind, (key[1],)).stream("dump", "dump", [PRODUCER], tap=[Command(("wc", "-c"))])
    assert artifact.name.endswith(".age")
    assert b"very bytes" not in Path(folder.path, artifact.name).read_bytes()
    tap.output.seek(0)
    assert int(tap.output.read()) == len(CONTENT), "the tap sees the plain stream"
    assert plain_bytes(folder, artifact, Identity(file=key[0])) == CONTENT
    assert plain_bytes(folder, artifact, Identity(key=Path(key[0]).read_text())) == CONTENT
    with pytest.raises(Refused, match="is encrypted; give age_identity_file"):
        plain_bytes(folder, artifact)
    other = tmp_path / "other"
    subprocess.run(["age-keygen", "-o", other], check=True, capture_output=True)
    with pytest.raises(Refused, match=r"not one of this backup's recipients"):
        plain_bytes(folder, artifact, Identity(file=str(other)))
    with pytest.raises(BadInput, match="does not exist"):
        plain_bytes(folder, artifact, Identity(file="/no/such/key"))
    assert "AGE-SECRET" not in repr(Identity(key="AGE-SECRET-KEY-1"))


@pytest.mark.parametrize("recipients", [False, True])
def test_the_commands_for_a_person_decode_it(folder: Folder, key, recipients: bool) -> None:
    artifact, _tap = writer(folder, "zstd", (key[1],) if recipients else ()).stream("dump", "dump", [PRODUCER])
    command = ["sh", "-c", shell_decoding(artifact).replace("KEY", key[0])]
    assert subprocess.run(command, cwd=folder.path, check=True, capture_output=True).stdout == CONTENT


def test_a_flipped_bit_a_missing_byte_and_a_missing_file_are_named(folder: Folder) -> None:
    artifact, _tap = writer(folder).stream("dump", "dump", [PRODUCER])
    path = Path(folder.path, artifact.name)
    original = path.read_bytes()
    reader = ArtifactReader(folder, Processes())

    path.write_bytes(original[:-20] + bytes([original[-20] ^ 4]) + original[-19:])
    with pytest.raises(Damaged, match=r'"dump\.zst" is damaged') as caught:
        reader.check(artifact)
    assert caught.value.artifact == "dump.zst"
    path.write_bytes(original[:-1])
    with pytest.raises(Damaged, match="bytes instead of"):
        reader.check(artifact)
    path.unlink()
    with pytest.raises(Damaged, match=r'"dump\.zst" is missing'):
        reader.check(artifact)
    path.symlink_to("/etc/passwd")
    with pytest.raises(Damaged, match="is a link"):
        reader.check(artifact)


def test_a_producer_that_fails_leaves_no_artifact_value(folder: Folder) -> None:
    with pytest.raises(ToolFailed, match="exit status 1"):
        writer(folder).stream("dump", "dump", [Command(("sh", "-c", "echo half; exit 1"))])


def fill(being_written, *names: str) -> None:
    for name in names:
        script = "umask 022; echo content of %s > ./%s" % (name, name)
        Processes().run(Command(("sh", "-c", script), directory=being_written.path))


def test_a_directory_is_sealed_with_an_index_that_sha256sum_reads(folder: Folder) -> None:
    with writer(folder).directory("dump", "dump", None) as being_written:
        fill(being_written, "toc.dat", "1.dat")
    directory, index = being_written.artifacts
    assert (directory.kind, directory.index, index.name) == ("directory", "dump.sha256", "dump.sha256")
    done = subprocess.run(["sha256sum", "-c", index.name], cwd=folder.path, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ["dump/1.dat: OK", "dump/toc.dat: OK"]
    assert {oct(path.stat().st_mode & 0o777) for path in Path(folder.path, "dump").iterdir()} == {"0o600"}


def test_damage_in_a_directory_is_found_whatever_its_form(folder: Folder) -> None:
    with writer(folder).directory("dump", "dump", None) as being_written:
        fill(being_written, "toc.dat", "1.dat")
    directory = being_written.artifacts[0]
    reader = ArtifactReader(folder, Processes())
    reader.check(directory)
    home = Path(folder.path, "dump")
    original = (home / "1.dat").read_bytes()

    (home / "1.dat").write_bytes(b"x" + original[1:])
    with pytest.raises(Damaged, match=r"dump/1\.dat"):
        reader.check(directory)
    (home / "1.dat").unlink()
    with pytest.raises(Damaged, match=r"dump/1.dat.* is missing"):
        reader.check(directory)
    (home / "1.dat").write_bytes(original)
    (home / "2.dat").write_bytes(b"stranger")
    with pytest.raises(Damaged, match=r"dump/2.dat.* is not in the index"):
        reader.check(directory)
    (home / "2.dat").unlink()
    index = Path(folder.path, "dump.sha256")
    index.write_text(index.read_text().replace("dump/1.dat", "dump/../1.dat"))
    with pytest.raises(Damaged, match=r"dump\.sha256"):
        reader.check(replace(directory, sha256=hashlib.sha256(index.read_bytes()).hexdigest()))


def test_a_directory_is_never_encrypted_by_accident(folder: Folder, key) -> None:
    with pytest.raises(BadInput, match="single stream"):
        with writer(folder, "zstd", (key[1],)).directory("dump", "dump", None):
            raise AssertionError


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can hand a directory to another user")
def test_another_user_writes_and_reads_a_directory_below_folders_closed_to_it(folder: Folder) -> None:
    os.chmod(folder.path, 0o700)
    nobody = account_named("nobody")
    with writer(folder).directory("dump", "dump", nobody) as being_written:
        as_nobody = Command(("sh", "-c", "id -un > toc.dat"), account=nobody, directory=being_written.path)
        Processes().run(as_nobody)
    directory = being_written.artifacts[0]
    assert Path(folder.path, "dump", "toc.dat").stat().st_uid == 0, "handed back"
    reader = ArtifactReader(folder, Processes())
    with folder.make_child("space") as space, reader.directory(directory, nobody, space) as copy:
        read = Processes().run(Command(("cat", "toc.dat"), account=nobody, directory=copy.handle))
    assert read.output == "nobody\n"


@pytest.mark.parametrize("wrap", [[], ["gzip -c"], ["zstd -qc"], ["gzip -c", "zstd -qc"]])
def test_a_dump_from_elsewhere_is_unwrapped_by_its_first_bytes(tmp_path: Path, wrap: list[str]) -> None:
    path = tmp_path / "dump; touch pwned"
    wrapped = subprocess.run(["sh", "-c", " | ".join(["cat", *wrap])], input=CONTENT, capture_output=True, check=True)
    path.write_bytes(wrapped.stdout)
    file = ExternalFile(str(path), Processes())
    assert file.head(8) == CONTENT[:8]
    with file.plain() as (descriptor, commands):
        assert Processes().feed(commands, descriptor) == CONTENT


def test_an_empty_file_and_a_truncated_wrapper_are_told_apart(tmp_path: Path) -> None:
    (tmp_path / "empty").write_bytes(b"")
    assert ExternalFile(str(tmp_path / "empty"), Processes()).head() == b""
    packed = subprocess.run(["gzip", "-c"], input=os.urandom(100), capture_output=True, check=True).stdout
    (tmp_path / "cut.gz").write_bytes(packed[:20])
    with pytest.raises(ToolFailed, match="gzip"):
        ExternalFile(str(tmp_path / "cut.gz"), Processes())


def test_recipients_are_tried_by_age_itself_and_a_secret_key_is_never_repeated(key) -> None:
    check_recipients([key[1]], Processes())
    with pytest.raises(BadInput, match=r'"age1foo" is nothing that age can encrypt to'):
        check_recipients([key[1], "age1foo"], Processes())
    secret = next(line for line in Path(key[0]).read_text().splitlines() if line.startswith("AGE-SECRET"))
    with pytest.raises(BadInput, match="is a secret key") as caught:
        check_recipients([secret], Processes())
    assert secret[20:] not in str(caught.value)


def test_a_text_that_unpacks_to_a_flood_is_damage(folder: Folder) -> None:
    flood = Command(("head", "-c", str(200 << 20), "/dev/zero"))
    artifact, _tap = writer(folder).stream("fingerprint.json", "fingerprint", [flood])
    with pytest.raises(Damaged, match="unpacks to more"):
        ArtifactReader(folder, Processes()).text(artifact)
