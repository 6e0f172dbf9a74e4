# SPDX-License-Identifier: Apache-2.0
# Debian packages by CPack: `sh tools/build-deb.sh`. Three of them, as Debian wants it: parley
# (the programs), libparley0 (shared libraries) and libparley-dev. What they say besides their files
# is in tools/package; the decisions are in README.Debian there.
set(debian "${PROJECT_SOURCE_DIR}/tools/package")
set(compressed "${CMAKE_CURRENT_BINARY_DIR}/compressed")

# parley_gzip(FROM NAME DESTINATION COMPONENT): a file that is installed compressed, without the
# time and the name of its source, so that two builds are the same.
function(parley_gzip from name destination component)
    set(file "${compressed}/${component}/${name}.gz")
    add_custom_command(OUTPUT "${file}" DEPENDS "${from}"
        COMMAND "${CMAKE_COMMAND}" -E make_directory "${compressed}/${component}"
        COMMAND sh -c "gzip -9nc \"$1\" >\"$2\"" sh "${from}" "${file}" VERBATIM)
    add_custom_target(gzip-${component}-${name} ALL DEPENDS "${file}")
    install(FILES "${file}" DESTINATION "${destination}" COMPONENT ${component})
endfunction()

foreach(pair IN ITEMS programs=parley library=libparley0 development=libparley-dev)
    string(REGEX MATCH "^(.*)=(.*)$" pair "${pair}")
    set(component ${CMAKE_MATCH_1})
    set(doc "${CMAKE_INSTALL_DATADIR}/doc/${CMAKE_MATCH_2}")
    install(FILES "${debian}/copyright" DESTINATION "${doc}" COMPONENT ${component})
    parley_gzip("${debian}/changelog" changelog.Debian "${doc}" ${component})
endforeach()
install(FILES "${debian}/README.Debian" DESTINATION "${CMAKE_INSTALL_DATADIR}/doc/parley")
install(FILES "${debian}/parleyd.default" RENAME parleyd DESTINATION /etc/default)

set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGE_NAME parley)
set(CPACK_PACKAGE_CONTACT "parley maintainers <maintainers@lists.parley.invalid>")
set(CPACK_PACKAGE_VERSION ${PROJECT_VERSION})
set(CPACK_PACKAGING_INSTALL_PREFIX /usr)
set(CPACK_STRIP_FILES ON)
set(CPACK_INSTALL_DEFAULT_DIRECTORY_PERMISSIONS
    OWNER_READ OWNER_WRITE OWNER_EXECUTE GROUP_READ GROUP_EXECUTE WORLD_READ WORLD_EXECUTE)
set(CPACK_COMPONENTS_ALL programs library development)
set(CPACK_DEB_COMPONENT_INSTALL ON)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_RELEASE 1)
set(CPACK_DEBIAN_COMPRESSION_TYPE xz)
set(CPACK_DEBIAN_PACKAGE_GENERATE_SHLIBS ON)
set(CPACK_DEBIAN_PACKAGE_CONTROL_STRICT_PERMISSION ON)
set(CPACK_DEBIAN_ENABLE_COMPONENT_DEPENDS OFF)

set(CPACK_DEBIAN_PROGRAMS_PACKAGE_NAME parley)
set(CPACK_DEBIAN_PROGRAMS_PACKAGE_SECTION net)
set(CPACK_DEBIAN_PROGRAMS_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_PROGRAMS_PACKAGE_DEPENDS "init-system-helpers (>= 1.52)")
set(CPACK_DEBIAN_PROGRAMS_DESCRIPTION "node that keeps conversations and syncs them between machines
parley keeps conversations of people and assistants, with the keys and peers
of a node, and keeps them equal with other nodes. Every node takes writes at
any time; changes merge in the same way everywhere; what was overwritten stays
in the history.

This package has parleyd, the daemon, and parley, its command line.")
set(CPACK_DEBIAN_PROGRAMS_PACKAGE_CONTROL_EXTRA
    "${debian}/postinst;${debian}/prerm;${debian}/postrm;${CMAKE_CURRENT_BINARY_DIR}/conffiles")
file(WRITE "${CMAKE_CURRENT_BINARY_DIR}/conffiles" "/etc/default/parleyd\n")

set(CPACK_DEBIAN_LIBRARY_PACKAGE_NAME libparley0)
set(CPACK_DEBIAN_LIBRARY_PACKAGE_SECTION libs)
set(CPACK_DEBIAN_LIBRARY_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_LIBRARY_DESCRIPTION "store of versioned conversations, and a node that syncs it
libparley is the store of parley, for programs that embed it; libparley-node
is a whole node as a value, without I/O of its own.")
file(WRITE "${CMAKE_CURRENT_BINARY_DIR}/triggers" "activate-noawait ldconfig\n")
set(CPACK_DEBIAN_LIBRARY_PACKAGE_CONTROL_EXTRA "${CMAKE_CURRENT_BINARY_DIR}/triggers")

set(CPACK_DEBIAN_DEVELOPMENT_PACKAGE_NAME libparley-dev)
set(CPACK_DEBIAN_DEVELOPMENT_PACKAGE_SECTION libdevel)
string(CONCAT CPACK_DEBIAN_DEVELOPMENT_PACKAGE_DEPENDS "libparley0 (= ${PROJECT_VERSION}-1), "
    "liblmdb-dev, libbearssl-dev, libmsgpack-dev, libxxhash-dev, libargon2-dev, libzstd-dev, "
    "zlib1g-dev, nettle-dev")
set(CPACK_DEBIAN_DEVELOPMENT_DESCRIPTION "store of versioned conversations: headers and archives
Headers, static libraries and the files by which pkg-config and CMake find
libparley and libparley-node.")
include(CPack)
