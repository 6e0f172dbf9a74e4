# SPDX-License-Identifier: Apache-2.0
# One library target a folder. A layer sees its own folder's parent on the include path and links
# only what it names, so an upward call does not link; tools/dev/lint.py checks the includes.

add_library(parley_warnings INTERFACE)
target_compile_options(parley_warnings INTERFACE
    -Wall -Wextra -Wconversion -Wshadow -Wswitch-enum -Wstrict-prototypes -Wmissing-prototypes
    -Wpointer-arith -Wwrite-strings -Wvla -fno-common)
if(PARLEY_WERROR)
    target_compile_options(parley_warnings INTERFACE -Werror)
endif()

# All functions are found at the start: the one that finds them later puts registers on the stack,
# and with them what was being copied, a secret perhaps.
add_link_options(LINKER:-z,relro,-z,now)

if(PARLEY_SANITIZE)
    add_compile_options(
        -fsanitize=${PARLEY_SANITIZE} -fno-sanitize-recover=all -fno-omit-frame-pointer)
    add_link_options(-fsanitize=${PARLEY_SANITIZE})
endif()
if(PARLEY_FUZZ)
    add_compile_options(-fsanitize=fuzzer-no-link)
endif()
if(PARLEY_COVERAGE)
    add_compile_options(--coverage -O0)
    add_link_options(--coverage)
endif()
if(PARLEY_TINY)
    add_compile_definitions(PARLEY_TINY=1)
endif()

# parley_layer(NAME [LINK targets...] [SYSTEM targets...])
# Builds every .c file of the current folder into the static library NAME.
function(parley_layer name)
    cmake_parse_arguments(arg "" "" "LINK;SYSTEM" ${ARGN})
    file(GLOB sources CONFIGURE_DEPENDS "${CMAKE_CURRENT_SOURCE_DIR}/*.c")
    add_library(${name} STATIC ${sources})
    target_include_directories(${name} PUBLIC
        "${PROJECT_SOURCE_DIR}/engine/include" "${CMAKE_CURRENT_SOURCE_DIR}/..")
    target_link_libraries(${name} PUBLIC ${arg_LINK} PRIVATE ${arg_SYSTEM} parley_warnings)
    if(PARLEY_COVERAGE)
        target_compile_definitions(${name} PRIVATE PARLEY_COVERAGE=1) # base.h; not of tests
    endif()
endfunction()
