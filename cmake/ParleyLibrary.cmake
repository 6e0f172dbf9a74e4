# SPDX-License-Identifier: Apache-2.0
# What programs embed: libparley and libparley-node, each shared and as an archive, and how they are
# found: headers, pkg-config, a CMake package. Both are made of one object, linked from the layers,
# in which everything is local that no header declares as PARLEY_API (hidden by default, see
# CMAKE_C_VISIBILITY_PRESET): what is public is said in the headers and nowhere else.
# docs/decisions/0007 has the reasons.
include(GNUInstallDirs)
include(CMakePackageConfigHelpers)

set(parley_abi "PARLEY_${PROJECT_VERSION_MAJOR}.${PROJECT_VERSION_MINOR}")
set(parley_package_dir "${CMAKE_INSTALL_LIBDIR}/cmake/parley")
file(CONFIGURE OUTPUT "${PROJECT_BINARY_DIR}/parley.map"
    CONTENT "${parley_abi} { global: parley_*; local: *; };\n")

# parley_object(FILE LAYERS targets... [OBJECTS files...]): one relocatable object.
function(parley_object file)
    cmake_parse_arguments(arg "" "" "LAYERS;OBJECTS" ${ARGN})
    list(TRANSFORM arg_LAYERS REPLACE "(.+)" "$<TARGET_FILE:\\1>" OUTPUT_VARIABLE archives)
    add_custom_command(OUTPUT "${file}"
        COMMAND "${CMAKE_LINKER}" -r -o "${file}" --whole-archive ${archives} --no-whole-archive
            ${arg_OBJECTS}
        COMMAND "${CMAKE_OBJCOPY}" --localize-hidden "${file}"
        DEPENDS ${arg_LAYERS} ${archives} ${arg_OBJECTS}
        COMMENT "Linking ${file}" COMMAND_EXPAND_LISTS VERBATIM)
endfunction()

# The names for the linker of libraries that were found.
function(parley_link_names out)
    set(names "")
    foreach(dependency IN LISTS ARGN)
        get_target_property(location ${dependency} IMPORTED_LOCATION)
        get_filename_component(name "${location}" NAME_WE)
        string(REGEX REPLACE "^lib" "" name "${name}")
        list(APPEND names ${name})
    endforeach()
    set(${out} "${names}" PARENT_SCOPE)
endfunction()

# parley_library(NAME INCLUDE folder LAYERS targets... [OBJECTS files...] [LINK names...]
#     SYSTEM targets...)
# Targets NAME_static and NAME_shared, with "_" for "-"; LINK names other such libraries.
function(parley_library name)
    if(PARLEY_STATIC_SOURCES) # programs alone
        return()
    endif()
    cmake_parse_arguments(arg "" "INCLUDE" "LAYERS;OBJECTS;LINK;SYSTEM" ${ARGN})
    string(REPLACE "-" "_" target "${name}")
    set(object "${CMAKE_CURRENT_BINARY_DIR}/${name}.o")
    parley_object("${object}" LAYERS ${arg_LAYERS} OBJECTS ${arg_OBJECTS})
    parley_link_names(names ${arg_SYSTEM})

    add_library(${target}_shared SHARED "${object}")
    target_link_options(${target}_shared PRIVATE
        "LINKER:--version-script=${PROJECT_BINARY_DIR}/parley.map")
    if(NOT PARLEY_SANITIZE AND NOT PARLEY_FUZZ)
        target_link_options(${target}_shared PRIVATE LINKER:--no-undefined)
    endif()
    set_target_properties(${target}_shared PROPERTIES
        VERSION ${PROJECT_VERSION} SOVERSION ${PROJECT_VERSION_MAJOR} EXPORT_NAME ${name}
        LINK_DEPENDS "${PROJECT_BINARY_DIR}/parley.map")
    target_link_libraries(${target}_shared PRIVATE ${arg_SYSTEM} Threads::Threads)

    add_library(${target}_static STATIC "${object}")
    # They share the object, which one of them has to make first.
    add_dependencies(${target}_static ${target}_shared)
    set_target_properties(${target}_static PROPERTIES EXPORT_NAME ${name}-static)
    target_link_libraries(${target}_static INTERFACE "$<BUILD_INTERFACE:${arg_SYSTEM}>"
        "$<INSTALL_INTERFACE:${names}>" Threads::Threads)

    foreach(kind IN ITEMS shared static)
        set_target_properties(${target}_${kind} PROPERTIES
            OUTPUT_NAME ${name} LINKER_LANGUAGE C)
        target_include_directories(${target}_${kind} INTERFACE "$<BUILD_INTERFACE:${arg_INCLUDE}>"
            "$<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>")
        list(TRANSFORM arg_LINK APPEND _${kind} OUTPUT_VARIABLE linked)
        target_link_libraries(${target}_${kind} PUBLIC ${linked})
    endforeach()
    install(TARGETS ${target}_shared ${target}_static EXPORT parley-targets
        LIBRARY COMPONENT library NAMELINK_COMPONENT development ARCHIVE COMPONENT development)
    install(DIRECTORY "${arg_INCLUDE}/parley" TYPE INCLUDE COMPONENT development)
    parley_pkg_config(${name})
endfunction()

# Installs cmake/NAME.pc.in, with places relative to it, so that the tree may be moved.
function(parley_pkg_config name)
    set(prefix "${CMAKE_INSTALL_PREFIX}")
    if(NOT IS_ABSOLUTE "${CMAKE_INSTALL_LIBDIR}")
        file(RELATIVE_PATH up "/${CMAKE_INSTALL_LIBDIR}/pkgconfig" "/")
        set(prefix "\${pcfiledir}/${up}")
    endif()
    foreach(place IN ITEMS LIBDIR INCLUDEDIR)
        set(${place} "${CMAKE_INSTALL_${place}}")
        if(NOT IS_ABSOLUTE "${${place}}")
            set(${place} "\${prefix}/${${place}}")
        endif()
    endforeach()
    configure_file("${PROJECT_SOURCE_DIR}/cmake/${name}.pc.in" "${PROJECT_BINARY_DIR}/${name}.pc"
        @ONLY)
    install(FILES "${PROJECT_BINARY_DIR}/${name}.pc" COMPONENT development
        DESTINATION "${CMAKE_INSTALL_LIBDIR}/pkgconfig")
endfunction()

# find_package(parley): parley::parley, parley::parley-node, and both with -static behind.
function(parley_package)
    if(PARLEY_STATIC_SOURCES)
        return()
    endif()
    set(config "${PROJECT_BINARY_DIR}/parley-config.cmake")
    configure_package_config_file("${PROJECT_SOURCE_DIR}/cmake/parley-config.cmake.in" "${config}"
        INSTALL_DESTINATION "${parley_package_dir}")
    write_basic_package_version_file("${PROJECT_BINARY_DIR}/parley-config-version.cmake"
        COMPATIBILITY SameMinorVersion)
    install(FILES "${config}" "${PROJECT_BINARY_DIR}/parley-config-version.cmake"
        COMPONENT development DESTINATION "${parley_package_dir}")
    install(EXPORT parley-targets NAMESPACE parley:: COMPONENT development
        DESTINATION "${parley_package_dir}")
endfunction()
