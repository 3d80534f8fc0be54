# What building needs: cargo, and a C compiler for the two native dependencies (ring and SQLite); to be sourced by bash.
#
#   need_toolchain    installs a C compiler with apt when it may, and says what is missing when it may not

need_toolchain() {
  if ! command -v cargo >/dev/null; then
    cat >&2 <<'MESSAGE'
cargo was not found. Switchboard needs Rust 1.95 or newer: see https://rustup.rs, then run this again.
MESSAGE
    return 1
  fi
  command -v cc >/dev/null && return 0
  if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    echo "installing a C compiler" >&2
    apt-get update -qq >&2 && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq gcc libc6-dev >&2 && return 0
  fi
  cat >&2 <<'MESSAGE'
A C compiler (cc) was not found, and it could not be installed from here. Install one and run this again, for example:
    sudo apt-get install gcc libc6-dev
MESSAGE
  return 1
}
