# Sourced by tools/demo and tools/test: the Debian packages that each needs, and how missing ones get installed.

BUILD_PACKAGES="gcc cmake ninja-build pkg-config ocl-icd-opencl-dev opencl-headers libclblast-dev libyaml-dev
                libjansson-dev libxxhash-dev"
DEVICE_PACKAGES="pocl-opencl-icd"
TEST_PACKAGES="g++ libcmocka-dev zlib1g-dev mesa-opencl-icd oclgrind"

# need_packages NAME...: installs what is missing, as root or through sudo; says what to do where it may not.
need_packages() {
    missing=
    for package in "$@"; do
        dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing="$missing $package"
    done
    [ -n "$missing" ] || return 0
    echo "installing:$missing" >&2
    if [ "$(id -u)" = 0 ]; then
        sudo=
    elif command -v sudo >/dev/null 2>&1 && sudo -n true 2>/dev/null; then
        sudo=sudo
    elif command -v sudo >/dev/null 2>&1 && [ -t 0 ]; then
        sudo=sudo
    else
        echo "These Debian packages are needed and may not be installed from here (neither root nor sudo):" >&2
        echo "    apt-get install$missing" >&2
        exit 2
    fi
    if ! command -v apt-get >/dev/null 2>&1; then
        echo "This is no Debian system; please install what corresponds to:$missing" >&2
        exit 2
    fi
    log=$(mktemp)
    if ! { $sudo env DEBIAN_FRONTEND=noninteractive apt-get update -qq &&
           $sudo env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing; } >"$log" 2>&1
    then
        tail -n 20 "$log" >&2
        rm -f "$log"
        echo "apt-get could not install:$missing" >&2
        exit 2
    fi
    rm -f "$log"
}

# build PRESET TARGET...: configures once, builds quietly, shows the log only when something fails.
build() {
    preset=$1
    shift
    log=$(mktemp)
    if ! { { [ -e "build/$preset/build.ninja" ] || cmake --preset "$preset"; } &&
           cmake --build "build/$preset" --target "$@"; } >"$log" 2>&1
    then
        cat "$log" >&2
        rm -f "$log"
        exit 1
    fi
    rm -f "$log"
}
