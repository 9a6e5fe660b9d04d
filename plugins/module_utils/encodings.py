# Copyright (c) 2026, the holdfast.db maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is done to native bytes before they are stored, and how it is undone: standard zstd, gzip and age."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

from .errors import BadInput, Refused, ToolFailed, shown
from .model import Artifact, Compression
from .pipeline import Command, Processes
from .secret_files import SecretFile

_SHOWN_OF_RECIPIENT = 70
SUFFIXES = {"zstd": "zst", "age": "age"}
_ZSTD_BACK = Command(("zstd", "-q", "-dc"))
_UNPACK = {"zstd": _ZSTD_BACK, "gzip": Command(("gzip", "-q", "-dc"))}
# In the words of age 1.1 and 1.2; what it says of the encrypted file itself begins otherwise.
_UNUSABLE_IDENTITY = re.compile(r'error: reading "[^"]*": (?:failed to read "[^"]*": )?(.*?)(?: age: report|$)')


@dataclass(frozen=True)
class Identity:
    """The secret half of an age key: the path of a file that holds it, or the key itself."""

    file: str | None = None
    key: str | None = None

    def __repr__(self) -> str:
        return "Identity(...)"


@contextmanager
def decoding(encoding: Sequence[str], identity: Identity | None) -> Iterator[list[Command]]:
    """The commands that undo ``encoding``, the last one applied first; good while the block lasts.

    Raises Refused where an age identity is needed and missing or not the right one.
    """
    with ExitStack() as stack:
        commands = []
        for one in reversed(encoding):
            if one == "age":
                commands.append(_decryption_command(identity, stack))
            else:
                commands.append(_UNPACK[one])
        try:
            yield commands
        except ToolFailed as reason:
            if "no identity matched" in str(reason):
                raise Refused(
                    "The age identity that was given is not one of this backup's recipients; give the right one."
                ) from None
            unusable = _UNUSABLE_IDENTITY.search(str(reason))
            if unusable:
                raise Refused(
                    "The age identity that was given cannot be used (%s); give a file or a key as age-keygen writes it."
                    % unusable[1]
                ) from None
            raise


def check_recipients(recipients: Sequence[str], processes: Processes) -> None:
    """Raise BadInput for a recipient that age cannot encrypt to, found by letting it encrypt nothing to each.

    Raises ToolFailed where there is no age.
    """
    for recipient in recipients:
        if recipient.upper().startswith("AGE-SECRET-KEY-"):
            raise BadInput("One of age_recipients is a secret key; give its public half, which age-keygen -y prints.")
        if processes.run(encryption_commands([recipient])[0], stdin=b"", check=False).exit_status != 0:
            raise BadInput(
                "%s is nothing that age can encrypt to; a recipient begins with age1 or is an SSH public key."
                % shown(recipient[:_SHOWN_OF_RECIPIENT])
            )


def shell_decoding(artifact: Artifact) -> str:
    """The shell words that write the plain bytes of ``artifact`` to standard output, for a person without holdfast.

    ``KEY`` stands for the file of the age identity.
    """
    words = {"age": "age --decrypt -i KEY", "zstd": "zstd -dc"}
    steps = [words[one] for one in reversed(artifact.encoding)] or ["cat"]
    return " | ".join(["%s %s" % (steps[0], artifact.name), *steps[1:]])


def _decryption_command(identity: Identity | None, stack: ExitStack) -> Command:
    if identity is None:
        raise Refused("This backup is encrypted; give age_identity_file or age_identity to read it.")
    if identity.file is not None:
        if not os.path.isfile(identity.file):
            raise BadInput("The age identity file %s does not exist on this host." % shown(identity.file))
        return Command(("age", "--decrypt", "-i", identity.file))
    secret = SecretFile((identity.key or "") + "\n", None)
    stack.callback(secret.close)
    return Command(("age", "--decrypt", "-i", secret.path), descriptors=(secret.descriptor,))


def encodings_of(compression: Compression, recipients: Sequence[str]) -> tuple[str, ...]:
    return (("zstd",) if compression.kind == "zstd" else ()) + (("age",) if recipients else ())


def compression_commands(compression: Compression) -> list[Command]:
    if compression.kind == "none":
        return []
    argv = ("zstd", "-q", "-c", "-%d" % compression.level, "-T%d" % compression.threads)
    return [Command(argv if compression.level <= 19 else argv[:1] + ("--ultra",) + argv[1:])]


def encryption_commands(recipients: Sequence[str]) -> list[Command]:
    if not recipients:
        return []
    named = [word for recipient in recipients for word in ("-r", recipient)]
    return [Command(("age", "--encrypt", *named))]
