# SPDX-License-Identifier: Apache-2.0
# Finds the libraries that parley stands on and names the Debian package that is missing.
# Several of them ship no pkg-config file, so all are looked up the same plain way.

# parley_find(TARGET HEADER LIBRARY PACKAGE): an imported target, or a recorded miss.
function(parley_find target header library package)
    find_path(${target}_INCLUDE ${header})
    find_library(${target}_LIBRARY NAMES ${library})
    mark_as_advanced(${target}_INCLUDE ${target}_LIBRARY)
    if(${target}_INCLUDE AND ${target}_LIBRARY)
        add_library(dep_${target} UNKNOWN IMPORTED GLOBAL)
        set_target_properties(dep_${target} PROPERTIES
            IMPORTED_LOCATION "${${target}_LIBRARY}"
            INTERFACE_INCLUDE_DIRECTORIES "${${target}_INCLUDE}")
    else()
        set(missing "${missing} ${package}" PARENT_SCOPE)
    endif()
endfunction()

set(missing "")
parley_find(lmdb lmdb.h lmdb liblmdb-dev)
parley_find(uv uv.h uv libuv1-dev)
parley_find(bearssl bearssl.h bearssl libbearssl-dev)
# What SHA-256 comes from, here and for pkg-config.
if(PARLEY_NETTLE)
    parley_find(nettle nettle/sha2.h nettle nettle-dev)
    set(dep_sha256 dep_nettle)
    set(PARLEY_SHA256_REQUIRES " nettle")
    set(PARLEY_SHA256_LIBS "")
else()
    set(dep_sha256 dep_bearssl)
    set(PARLEY_SHA256_REQUIRES "")
    set(PARLEY_SHA256_LIBS "-lbearssl ")
endif()
parley_find(msgpack msgpack.h msgpackc libmsgpack-dev)
parley_find(argon2 argon2.h argon2 libargon2-dev)
parley_find(xxhash xxhash.h xxhash libxxhash-dev)
parley_find(zstd zstd.h zstd libzstd-dev)
parley_find(jansson jansson.h jansson libjansson-dev)
parley_find(qrencode qrencode.h qrencode libqrencode-dev)
parley_find(zlib zlib.h z zlib1g-dev)
parley_find(libzip zip.h zip libzip-dev)
if(PARLEY_TESTS)
    parley_find(cmocka cmocka.h cmocka libcmocka-dev)
endif()
if(missing)
    message(FATAL_ERROR "Missing packages; on Debian or Ubuntu run: apt-get install${missing}")
endif()
set(ParleyDependencies_FOUND TRUE)
