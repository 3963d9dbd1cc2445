#!/bin/sh
# Finds Debian's chromium, or installs it with apt where that is allowed; says what is missing otherwise.
set -eu
if [ -n "${PENSTOCK_CHROMIUM:-}" ] && [ -x "$PENSTOCK_CHROMIUM" ]; then exit 0; fi
for name in chromium chromium-browser google-chrome; do
  if command -v "$name" >/dev/null; then exit 0; fi
done

if [ "$(id -u)" = 0 ]; then as_root=""
elif sudo -n true 2>/dev/null; then as_root="sudo -n"
else as_root="no"; fi

if [ "$as_root" != no ] && command -v apt-get >/dev/null; then
  echo "test-browser: installing chromium with apt-get" >&2
  $as_root apt-get update -qq >&2 &&
    $as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends chromium fonts-dejavu-core >&2 || true
  if command -v chromium >/dev/null; then exit 0; fi
fi

cat >&2 <<'MISSING'

  ############################################################################
  #  THE BROWSER TESTS DID NOT RUN: there is no chromium on this machine,    #
  #  and it could not be installed (that takes apt, and root or sudo).       #
  #                                                                          #
  #  Debian, Ubuntu:   sudo apt-get install chromium fonts-dejavu-core       #
  #  elsewhere:        put a `chromium` on the PATH, or name one:            #
  #                    make test-browser PENSTOCK_CHROMIUM=/path/to/chrome   #
  #                                                                          #
  #  `make test` does not need it.                                           #
  ############################################################################

MISSING
exit 1
