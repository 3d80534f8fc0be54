# What the peers of `benches/peers` need, from the registries into the user's cache; to be sourced by bash.
#
#   install_peers    sets SWITCHBOARD_BENCH_FASTAPI and SWITCHBOARD_BENCH_FASTIFY to where each was installed, and says which
#                    could not be
#
# Kept outside the checkout, so that a fresh clone need not fetch them again.

install_peers() {
  if install_fastapi; then
    export SWITCHBOARD_BENCH_FASTAPI=$FASTAPI_DIR
  else
    echo "FastAPI could not be installed (it needs python3 with pip, and PyPI): it is left out" >&2
  fi
  if install_fastify; then
    export SWITCHBOARD_BENCH_FASTIFY=$FASTIFY_DIR
  else
    echo "Fastify could not be installed (it needs node with npm, and npm's registry): it is left out" >&2
  fi
}

peers_cache() {
  echo "${XDG_CACHE_HOME:-$HOME/.cache}/switchboard-bench"
}

# What is installed is what the list says that was copied beside it afterwards.
install_fastapi() {
  local wanted=benches/peers/fastapi/requirements.txt version
  version=$(python3 -c 'import sys; print("%d.%d" % sys.version_info[:2])') || return 1
  FASTAPI_DIR=$(peers_cache)/fastapi-python$version
  cmp -s "$wanted" "$FASTAPI_DIR/requirements.txt" && return 0
  echo "installing FastAPI into $FASTAPI_DIR" >&2
  rm -rf "$FASTAPI_DIR" && mkdir -p "$FASTAPI_DIR" &&
    python3 -m pip install --quiet --disable-pip-version-check --no-warn-conflicts --root-user-action ignore \
      --target "$FASTAPI_DIR" -r "$wanted" >&2 &&
    cp "$wanted" "$FASTAPI_DIR/"
}

# The server runs from there, since node looks for packages beside the file that asks for them.
install_fastify() {
  local from=benches/peers/fastify
  command -v node >/dev/null || return 1
  FASTIFY_DIR=$(peers_cache)/fastify
  if ! cmp -s "$from/package.json" "$FASTIFY_DIR/installed.json"; then
    echo "installing Fastify into $FASTIFY_DIR" >&2
    rm -rf "$FASTIFY_DIR" && mkdir -p "$FASTIFY_DIR" && cp "$from/package.json" "$FASTIFY_DIR/" &&
      npm install --silent --ignore-scripts --no-audit --no-fund --prefix "$FASTIFY_DIR" >&2 &&
      cp "$from/package.json" "$FASTIFY_DIR/installed.json" || return 1
  fi
  cp "$from/server.mjs" "$FASTIFY_DIR/"
}
