# Copyright (c) 2026, the holdfast.db maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
requirements:
  - Python 3.9 or newer on the host
  - zstd, where backups are compressed
  - age, where backups are encrypted
  - the client programs of the database
options:
  engine:
    description:
      - The kind of database, such as V(postgresql) or V(sqlite).
      - Needed wherever a database is looked at. What only reads a repository takes it from the backups.
    type: str
  database:
    description:
      - The name of the database. For SQLite the absolute path of its file, written without C(//), C(.) or C(..).
    type: str
  login_host:
    description:
      - The host name or address of the database server.
      - Without it the server's local socket is used.
    type: str
  login_port:
    description:
      - The port of the database server.
    type: int
  login_user:
    description:
      - The user to log in as.
      - Without it, as root and over the local socket, the database's own operating-system user is used.
    type: str
  login_password:
    description:
      - The password of O(login_user). It is handed to the client programs in private, never on a command line.
      - Ansible hides its value wherever it appears in a result, so that a password which is also a name hides the name.
    type: str
  login_unix_socket:
    description:
      - The directory that holds the local socket of the server.
    type: path
  login_password_file:
    description:
      - A file on the host that nobody else may read. Either a password file as PostgreSQL's own programs know it
        (C(host:port:database:user:password) on each line, such as C(~/.pgpass)), or one whose first line is the
        password of O(login_user) alone.
    type: path
  login_service:
    description:
      - The name of a connection service, as in C(pg_service.conf).
    type: str
  login_service_file:
    description:
      - The file in which O(login_service) is looked up.
    type: path
  login_db:
    description:
      - The database to connect to for work that cannot be done from within O(database), such as creating it.
    type: str
  ssl_mode:
    description:
      - Whether and how strictly the connection is encrypted, in the words of the database's own client.
    type: str
  ca_cert:
    description:
      - A file with the certificates of the authorities that may have signed the server's certificate.
    type: path
  ssl_cert:
    description:
      - A file with the client's certificate.
    type: path
  ssl_key:
    description:
      - A file with the key of O(ssl_cert).
    type: path
  client_path:
    description:
      - The directory with the database's client programs.
      - Without it, the one among those installed that fits the server's version is taken.
    type: path
  jobs:
    description:
      - How many parallel workers the database's own tools may use.
      - Without it the engine chooses.
    type: int
  work_path:
    description:
      - A directory on the host for temporary files in plain text, private and removed at the end.
      - Without it, one is made where the operating system keeps temporary files.
    type: path
"""
