# Sourced by tools/run and tools/test: installs system packages that are missing, by apt or brew.

as_root() {
  if [ "$(id -u)" -eq 0 ]; then
    "$@"
  elif command -v sudo >/dev/null; then
    sudo "$@"
  else
    echo "$0: needs root (or sudo) for: $*" >&2
    exit 69
  fi
}

# install_packages <apt package>...: does nothing where all are there.
install_packages() {
  case "$(uname -s)" in
  Linux)
    command -v apt-get >/dev/null || {
      echo "$0: no apt-get here; install by hand: $*" >&2
      return 0
    }
    local missing=()
    for package in "$@"; do
      [ "$(dpkg-query -W -f='${db:Status-Status}' "$package" 2>/dev/null)" = installed ] || missing+=("$package")
    done
    [ ${#missing[@]} -eq 0 ] && return 0
    echo "installing ${missing[*]}" >&2
    as_root apt-get update -qq >&2
    as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >&2
    ;;
  Darwin)
    for package in "$@"; do
      local formula="${package%-dev}"
      case "$formula" in
      pkg-config) formula=pkgconf ;;
      python3 | python3-venv | gcc | libc6) continue ;;
      esac
      brew list --formula "$formula" >/dev/null 2>&1 || brew install --quiet "$formula" >&2
    done
    ;;
  *)
    echo "$0: unknown system $(uname -s); install by hand: $*" >&2
    ;;
  esac
}
