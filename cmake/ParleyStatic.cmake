# SPDX-License-Identifier: Apache-2.0
# The libraries that parley stands on, made from their sources for a static build with musl: those
# of the distribution are made for another C library. tools/build-static.sh fetches the sources, one
# folder each, into PARLEY_STATIC_SOURCES.
set(from "${PARLEY_STATIC_SOURCES}")

# parley_source(NAME INCLUDE folders... FILES globs... [EXCEPT regex] [DEFINE definitions...])
function(parley_source name)
    cmake_parse_arguments(arg "" "EXCEPT" "INCLUDE;FILES;DEFINE" ${ARGN})
    list(TRANSFORM arg_FILES PREPEND "${from}/")
    list(TRANSFORM arg_INCLUDE PREPEND "${from}/")
    file(GLOB sources ${arg_FILES})
    if(arg_EXCEPT)
        list(FILTER sources EXCLUDE REGEX "${arg_EXCEPT}")
    endif()
    if(NOT sources)
        message(FATAL_ERROR "no sources of ${name} in ${from}; run: sh tools/build-static.sh")
    endif()
    add_library(dep_${name} STATIC ${sources})
    target_include_directories(dep_${name} SYSTEM PUBLIC ${arg_INCLUDE})
    target_compile_definitions(dep_${name} PRIVATE _GNU_SOURCE ${arg_DEFINE})
    target_compile_options(dep_${name} PRIVATE -w)
    set_target_properties(dep_${name} PROPERTIES C_STANDARD 11 C_EXTENSIONS ON)
endfunction()

# One process has a store at a time, by a lock of ours: a mutex that survives its owner is not
# needed, and qemu-user, under which the tests run, has none.
parley_source(lmdb INCLUDE lmdb/libraries/liblmdb
    FILES lmdb/libraries/liblmdb/mdb.c lmdb/libraries/liblmdb/midl.c DEFINE MDB_USE_ROBUST=0)
set(unix libuv/src/unix)
parley_source(uv INCLUDE libuv/include libuv/src
    FILES libuv/src/*.c ${unix}/async.c ${unix}/core.c ${unix}/dl.c ${unix}/epoll.c ${unix}/fs.c
        ${unix}/getaddrinfo.c ${unix}/getnameinfo.c ${unix}/linux-core.c ${unix}/linux-inotify.c
        ${unix}/linux-syscalls.c ${unix}/loop-watcher.c ${unix}/loop.c ${unix}/pipe.c
        ${unix}/poll.c ${unix}/process.c ${unix}/procfs-exepath.c ${unix}/proctitle.c
        ${unix}/random-devurandom.c ${unix}/random-getrandom.c ${unix}/random-sysctl-linux.c
        ${unix}/signal.c ${unix}/stream.c ${unix}/tcp.c ${unix}/thread.c ${unix}/tty.c
        ${unix}/udp.c)
parley_source(bearssl INCLUDE bearssl/inc bearssl/src
    FILES bearssl/src/*.c bearssl/src/*/*.c)
# What takes the same time whatever the secret is stays as its authors compile it.
target_compile_options(dep_bearssl PRIVATE -fno-lto)
set(MSGPACK_ENDIAN_BIG_BYTE 0)
set(MSGPACK_ENDIAN_LITTLE_BYTE 1)
foreach(header IN ITEMS pack_template.h sysdep.h)
    configure_file("${from}/msgpack/cmake/${header}.in"
        "${PROJECT_BINARY_DIR}/static/msgpack/${header}" @ONLY)
endforeach()
parley_source(msgpack INCLUDE msgpack/include FILES msgpack/src/*.c)
target_include_directories(dep_msgpack SYSTEM PUBLIC "${PROJECT_BINARY_DIR}/static"
    "${PROJECT_BINARY_DIR}/static/msgpack")
parley_source(argon2 INCLUDE argon2/include argon2/src
    FILES argon2/src/argon2.c argon2/src/core.c argon2/src/encoding.c argon2/src/ref.c
        argon2/src/thread.c argon2/src/blake2/blake2b.c)
parley_source(xxhash INCLUDE xxhash FILES xxhash/xxhash.c)
parley_source(zstd INCLUDE zstd/lib FILES zstd/lib/common/*.c zstd/lib/compress/*.c
    zstd/lib/decompress/*.c DEFINE ZSTD_DISABLE_ASM ZSTD_LEGACY_SUPPORT=0 XXH_NAMESPACE=ZSTD_
        # One way of each thing where it has several for speed: 150 KB.
        DYNAMIC_BMI2=0 HUF_FORCE_DECOMPRESS_X1 ZSTD_FORCE_DECOMPRESS_SEQUENCES_SHORT ZSTD_NO_INLINE
        ZSTD_STRIP_ERROR_STRINGS)
parley_source(zlib INCLUDE zlib FILES zlib/*.c DEFINE HAVE_UNISTD_H HAVE_STDARG_H)
set(json_inline inline)
set(json_have_long_long 1)
set(json_have_localeconv 1)
set(json_have_atomic_builtins 1)
set(json_have_sync_builtins 1)
configure_file("${from}/jansson/src/jansson_config.h.in"
    "${PROJECT_BINARY_DIR}/static/jansson_config.h" @ONLY)
file(WRITE "${PROJECT_BINARY_DIR}/static/jansson_private_config.h" "")
parley_source(jansson INCLUDE jansson/src FILES jansson/src/*.c
    DEFINE HAVE_STDINT_H HAVE_UNISTD_H USE_URANDOM INITIAL_HASHTABLE_ORDER=3)
target_include_directories(dep_jansson SYSTEM PUBLIC "${PROJECT_BINARY_DIR}/static")
parley_source(qrencode INCLUDE qrencode FILES qrencode/*.c EXCEPT "qrenc[.]c$"
    DEFINE STATIC_IN_RELEASE=static MAJOR_VERSION=4 MINOR_VERSION=1 MICRO_VERSION=1
        VERSION="4.1.1"
        "__STATIC=static")
parley_source(inih INCLUDE inih FILES inih/ini.c)
# libzip makes three files when it is configured: what there is, the types, and the texts of errors
# from its header. Archives need deflate and nothing else here.
function(parley_libzip)
    set(made "${PROJECT_BINARY_DIR}/static/libzip")
    foreach(have IN ITEMS FILENO FSEEKO FTELLO LOCALTIME_R MKSTEMP SNPRINTF STRCASECMP STRDUP
            STRTOLL STRTOULL STDBOOL_H STRINGS_H UNISTD_H DIRENT_H)
        set(HAVE_${have} 1)
    endforeach()
    set(SIZEOF_OFF_T 8)
    set(SIZEOF_SIZE_T ${CMAKE_SIZEOF_VOID_P})
    configure_file("${from}/libzip/cmake-config.h.in" "${made}/config.h")
    foreach(bits IN ITEMS 8 16 32 64)
        set(ZIP_INT${bits}_T int${bits}_t)
        set(ZIP_UINT${bits}_T uint${bits}_t)
    endforeach()
    set(LIBZIP_TYPES_INCLUDE "#include <stdint.h>")
    set(ZIP_NULLABLE_DEFINES "#define _Nullable\n#define _Nonnull")
    set(ZIP_STATIC 1)
    configure_file("${from}/libzip/cmake-zipconf.h.in" "${made}/zipconf.h")
    file(STRINGS "${from}/libzip/lib/zip.h" lines REGEX "^#define ZIP_ER_[A-Z_]+ [0-9]+ +/[*]")
    set(kind_N ZIP_ET_NONE)
    set(kind_S ZIP_ET_SYS)
    set(kind_Z ZIP_ET_ZLIB)
    set(texts "")
    set(kinds "")
    foreach(line IN LISTS lines)
        string(REGEX REPLACE ".*/[*] ([NSZ]) ([^*]*[^* ]) *[*]/.*" "\\1;\\2" parts "${line}")
        list(GET parts 0 kind)
        list(GET parts 1 text)
        string(APPEND texts "    \"${text}\",\n")
        string(APPEND kinds "    ${kind_${kind}},\n")
    endforeach()
    list(LENGTH lines count)
    file(CONFIGURE OUTPUT "${made}/zip_err_str.c" CONTENT "#include \"zipint.h\"
const char *const _zip_err_str[] = {\n${texts}};
const int _zip_nerr_str = ${count};
const int _zip_err_type[] = {\n${kinds}};\n")
    parley_source(libzip INCLUDE libzip/lib FILES libzip/lib/*.c
        EXCEPT "bzip2|_xz|crypto_|win32|uwp|winzip" DEFINE HAVE_CONFIG_H)
    target_sources(dep_libzip PRIVATE "${made}/zip_err_str.c")
    target_include_directories(dep_libzip SYSTEM PUBLIC "${made}")
    target_link_libraries(dep_libzip PRIVATE dep_zlib)
endfunction()
parley_libzip()
if(PARLEY_TESTS)
    parley_source(cmocka INCLUDE cmocka/include FILES cmocka/src/cmocka.c
        DEFINE HAVE_SIGLONGJMP HAVE_GCC_THREAD_LOCAL_STORAGE HAVE_INTTYPES_H HAVE_MALLOC_H
            HAVE_STRINGS_H HAVE_SIGNAL_H HAVE_STDINT_H HAVE_TIME_H HAVE_UNISTD_H HAVE_SETJMP_H
            HAVE_CLOCK_GETTIME HAVE_CLOCK_REALTIME HAVE_STRUCT_TIMESPEC HAVE_STRSIGNAL)
    target_compile_definitions(dep_cmocka PUBLIC _UINTPTR_T _UINTPTR_T_DEFINED)
endif()
set(dep_sha256 dep_bearssl)
