# A throw-away PostgreSQL for tests and measurements; to be sourced by bash.
#
#   find_postgres    sets PG_BIN to the folder of the newest server binaries, installing Debian's package if need be
#   start_postgres   starts a fresh cluster on a free loopback port and sets POSTGRES_URL; takes extra settings
#   launch_postgres  starts that cluster again after it was killed
#   stop_postgres    stops that cluster and removes its files
#
# PostgreSQL refuses to run as root, so as root the cluster belongs to `postgres` (Debian's package makes that user), or
# to `nobody`.

find_postgres() {
  local candidate
  for candidate in "${PG_BIN:-}" $(ls -d /usr/lib/postgresql/*/bin /usr/pgsql-*/bin /opt/homebrew/opt/postgresql@*/bin 2>/dev/null | sort -Vr) \
    "$(dirname "$(command -v pg_ctl 2>/dev/null || echo /nowhere/pg_ctl)")"; do
    if [ -x "$candidate/initdb" ] && [ -x "$candidate/pg_ctl" ]; then
      PG_BIN=$candidate
      return 0
    fi
  done
  if [ -z "${POSTGRES_INSTALL_TRIED:-}" ] && [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    POSTGRES_INSTALL_TRIED=yes
    echo "installing Debian's postgresql package" >&2
    apt-get update -qq >&2 && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq postgresql >&2 || return 1
    PG_BIN=''
    find_postgres
    return
  fi
  return 1
}

as_postgres() {
  if [ "$(id -u)" = 0 ]; then
    # From a folder that the other user can read, or every command warns.
    (cd / && setpriv --reuid="$PG_USER" --regid="$(id -g "$PG_USER")" --clear-groups -- "$@")
  else
    "$@"
  fi
}

free_port() {
  python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])' 2>/dev/null ||
    shuf -i 20000-32000 -n 1
}

start_postgres() {
  PG_USER=$(id -un)
  if [ "$(id -u)" = 0 ]; then
    PG_USER=postgres
    id postgres >/dev/null 2>&1 || PG_USER=nobody
  fi
  PG_DIR=$(mktemp -d "${TMPDIR:-/tmp}/switchboard-postgres.XXXXXX")
  chmod 755 "$PG_DIR"
  mkdir "$PG_DIR/data" "$PG_DIR/socket"
  chmod 700 "$PG_DIR/data"
  [ "$(id -u)" != 0 ] || chown -R "$PG_USER" "$PG_DIR"
  as_postgres "$PG_BIN/initdb" -D "$PG_DIR/data" -U postgres -A trust -E UTF8 --locale=C >"$PG_DIR/initdb.log" 2>&1 || {
    cat "$PG_DIR/initdb.log" >&2
    return 1
  }
  local attempt
  for attempt in 1 2 3; do
    PG_PORT=$(free_port)
    if launch_postgres "$@"; then
      POSTGRES_URL="postgres://postgres@127.0.0.1:$PG_PORT/postgres"
      return 0
    fi
  done
  echo "PostgreSQL did not start:" >&2
  tail -20 "$PG_DIR/data/server.log" >&2
  return 1
}

launch_postgres() {
  as_postgres "$PG_BIN/pg_ctl" -D "$PG_DIR/data" -w -t 60 -l "$PG_DIR/data/server.log" \
    -o "-h 127.0.0.1 -p $PG_PORT -k $PG_DIR/socket -c max_connections=300 $*" start >/dev/null 2>&1
}

stop_postgres() {
  [ -n "${PG_DIR:-}" ] || return 0
  as_postgres "$PG_BIN/pg_ctl" -D "$PG_DIR/data" -m immediate -w stop >/dev/null 2>&1 || true
  rm -rf "$PG_DIR"
  PG_DIR=''
}
