#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# Builds the Debian packages for this machine's architecture into build/deb/packages.
# Usage: sh tools/build-deb.sh
set -eu

cd "$(dirname "$0")/.."
umask 022
cmake --preset deb
cmake --build --preset deb
rm -rf build/deb/packages
cd build/deb
# The time in the packages is that of the changelog, so that two builds are the same.
written=$(sed -n 's/^ -- .*>  //p' ../../tools/package/changelog | head -1)
SOURCE_DATE_EPOCH=$(date -d "$written" +%s)
export SOURCE_DATE_EPOCH
cpack -B packages
rm -rf packages/_CPack_Packages
ls -l packages
