# SPDX-License-Identifier: Apache-2.0
# For tools/build-static.sh: the compiler of Debian for PARLEY_TARGET with the musl that is unpacked
# in PARLEY_MUSL, for programs without shared libraries whose place in memory is drawn anew at each
# start.
set(CMAKE_SYSTEM_NAME Linux)
list(APPEND CMAKE_TRY_COMPILE_PLATFORM_VARIABLES PARLEY_TARGET PARLEY_MUSL)
if(PARLEY_TARGET STREQUAL "amd64")
    set(CMAKE_SYSTEM_PROCESSOR x86_64)
    set(triplet x86_64-linux-gnu)
elseif(PARLEY_TARGET STREQUAL "arm64")
    set(CMAKE_SYSTEM_PROCESSOR aarch64)
    set(triplet aarch64-linux-gnu)
    set(emulator qemu-aarch64-static)
    # Which instructions there are is asked of glibc otherwise.
    set(machine_flags -mno-outline-atomics)
elseif(PARLEY_TARGET STREQUAL "armhf")
    set(CMAKE_SYSTEM_PROCESSOR armv7l)
    set(triplet arm-linux-gnueabihf)
    set(emulator qemu-arm-static)
else()
    message(FATAL_ERROR "PARLEY_TARGET is amd64, arm64 or armhf")
endif()
string(REPLACE "gnu" "musl" musl_triplet "${triplet}")
set(CMAKE_C_COMPILER ${triplet}-gcc)
# These know the objects of -flto.
find_program(CMAKE_AR ${triplet}-gcc-ar REQUIRED)
find_program(CMAKE_RANLIB ${triplet}-gcc-ranlib REQUIRED)
set(CMAKE_LINKER ${triplet}-ld)
set(CMAKE_OBJCOPY ${triplet}-objcopy)
set(CMAKE_STRIP ${triplet}-strip)
if(emulator)
    set(CMAKE_CROSSCOMPILING_EMULATOR ${emulator})
endif()

execute_process(COMMAND ${CMAKE_C_COMPILER} -print-file-name=include OUTPUT_VARIABLE own_headers
    OUTPUT_STRIP_TRAILING_WHITESPACE)
foreach(object IN ITEMS crtbeginS crtendS)
    execute_process(COMMAND ${CMAKE_C_COMPILER} -print-file-name=${object}.o
        OUTPUT_VARIABLE ${object} OUTPUT_STRIP_TRAILING_WHITESPACE)
endforeach()
set(musl_lib "${PARLEY_MUSL}/usr/lib/${musl_triplet}")
string(JOIN " " CMAKE_C_FLAGS_INIT -nostdinc -isystem ${PARLEY_MUSL}/usr/include/${musl_triplet}
    -isystem ${own_headers} ${machine_flags} -ffunction-sections -fdata-sections
    # Nothing unwinds in C.
    -fno-asynchronous-unwind-tables -fno-unwind-tables)
# `-static -Wl,-pie`: gcc's -static-pie names a loader on arm.
string(CONCAT CMAKE_C_LINK_EXECUTABLE "<CMAKE_C_COMPILER> <FLAGS> <LINK_FLAGS> -nostdlib -static "
    "-Wl,-pie,--no-dynamic-linker,-z,text,--gc-sections,-z,relro,-z,now,-z,noexecstack "
    "${musl_lib}/rcrt1.o ${musl_lib}/crti.o ${crtbeginS} <OBJECTS> -o <TARGET> <LINK_LIBRARIES> "
    "-L${musl_lib} -Wl,--start-group -lc -lgcc -lgcc_eh -Wl,--end-group ${crtendS} "
    "${musl_lib}/crtn.o")
set(CMAKE_FIND_ROOT_PATH "${PARLEY_MUSL}")
