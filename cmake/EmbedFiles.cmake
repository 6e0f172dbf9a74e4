# SPDX-License-Identifier: Apache-2.0
# cmake -DOUT=FILE.c -DFILES=a;b -P EmbedFiles.cmake: files as a table of C arrays, which
# net/node/ui.h declares. Run at build time, whenever a file has changed.
set(types "html=text/html" "css=text/css" "js=text/javascript" "svg=image/svg+xml")
set(text "/* Made by cmake/EmbedFiles.cmake. */\n#include \"node/ui.h\"\n\n")
set(rows "")
set(number 0)
foreach(file IN LISTS FILES)
    get_filename_component(name "${file}" NAME)
    string(REGEX REPLACE ".*[.]" "" end "${name}")
    set(type "")
    foreach(pair IN LISTS types)
        if(pair MATCHES "^${end}=(.*)$")
            set(type "${CMAKE_MATCH_1}; charset=utf-8")
        endif()
    endforeach()
    if(type STREQUAL "")
        message(FATAL_ERROR "${file}: of which type is .${end}? Add it to EmbedFiles.cmake")
    endif()
    file(READ "${file}" hex HEX)
    string(REGEX REPLACE "([0-9a-f][0-9a-f])" "0x\\1," list "${hex}")
    string(APPEND text "static const uint8_t file_${number}[] = { ${list} };\n")
    string(APPEND rows
        "    { \"${name}\", \"${type}\", { file_${number}, sizeof file_${number} } },\n")
    math(EXPR number "${number} + 1")
endforeach()
string(APPEND text "\nconst struct pl_ui_file pl_ui_files[] = {\n${rows}};\n"
    "const size_t pl_ui_file_count = ${number};\n")
file(WRITE "${OUT}" "${text}")
