#!/usr/bin/env bash
# Install the programs that the demo and the tests run, where this is allowed: Debian or Ubuntu, as root or with a
# sudo that asks nothing. Elsewhere, name exactly what is missing and fail.
set -euo pipefail

have_command() {
    command -v "$1" > /dev/null 2>&1
}

# Debian keeps the server's programs out of PATH, one folder a version.
have_postgresql_server() {
    local program
    for program in /usr/lib/postgresql/*/bin/initdb /usr/pgsql-*/bin/initdb; do
        [ -x "$program" ] && return 0
    done
    have_command initdb
}

missing=()
have_postgresql_server || missing+=(postgresql)
have_command pg_dump || [[ " ${missing[*]} " == *" postgresql "* ]] || missing+=(postgresql-client)
have_command zstd || missing+=(zstd)
have_command age || missing+=(age)
have_command setfacl || missing+=(acl)
have_command strace || missing+=(strace) # the order of writes, and kills between any two of them

if [ ${#missing[@]} -eq 0 ]; then
    exit 0
fi

as_root=()
if [ "$(id -u)" -ne 0 ]; then
    as_root=(sudo -n)
fi
if ! have_command apt-get || ! "${as_root[@]}" true 2> /dev/null; then
    cat >&2 << TEXT
These system packages are missing and cannot be installed from here: ${missing[*]}
(The names are Debian's. Elsewhere: the PostgreSQL server with its client tools, zstd, age, setfacl and strace.)
On Debian or Ubuntu, run:  sudo apt-get install ${missing[*]}
Then run make again.
TEXT
    exit 1
fi

echo "Installing system packages: ${missing[*]} ..."

# Debian's postgresql package makes a database cluster and starts it. The tests start private servers and never use
# it, so none is made; this setting is taken away again afterwards. Where a cluster exists already, it stays as it is.
no_cluster=/etc/postgresql-common/createcluster.d/holdfast-no-cluster.conf
if [[ " ${missing[*]} " == *" postgresql "* ]]; then
    trap '"${as_root[@]}" rm -f "$no_cluster"' EXIT
    "${as_root[@]}" mkdir -p "$(dirname "$no_cluster")"
    echo 'create_main_cluster = false' | "${as_root[@]}" tee "$no_cluster" > /dev/null
fi

apt=("${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -q -y -o DPkg::Lock::Timeout=300)
log=$(mktemp)
if ! { "${apt[@]}" update && "${apt[@]}" install --no-install-recommends "${missing[@]}"; } > "$log" 2>&1 < /dev/null; then
    tail -n 20 "$log" >&2
    rm -f "$log"
    echo "apt-get could not install: ${missing[*]}. Its last lines are above; install them by hand, then run make again." >&2
    exit 1
fi
rm -f "$log"
