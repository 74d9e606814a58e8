# liboberta: all rooms in one library, static and shared of the same objects; the program adds the command line.
#
# Its version stands in CMakeLists.txt and, for those who include it, in a header.
file(STRINGS "${PROJECT_SOURCE_DIR}/host/include/oberta/version.h" numbers REGEX "^#define OBERTA_VERSION_[A-Z]+ [0-9]+$")
string(REGEX REPLACE "[^0-9;]" "" numbers "${numbers}")
string(REPLACE ";" "." numbers "${numbers}")
if(NOT numbers STREQUAL PROJECT_VERSION)
    message(FATAL_ERROR "version.h says ${numbers}, CMakeLists.txt says ${PROJECT_VERSION}")
endif()

get_property(rooms GLOBAL PROPERTY OBERTA_ROOMS)
add_library(oberta STATIC)
add_library(oberta_shared SHARED)
foreach(library oberta oberta_shared)
    foreach(room ${rooms})
        target_sources(${library} PRIVATE $<TARGET_OBJECTS:${room}>)
    endforeach()
    foreach(folder runtime models host)
        target_include_directories(${library} PUBLIC $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/${folder}/include>)
    endforeach()
    target_include_directories(${library} PUBLIC $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>)
    target_link_libraries(${library} PRIVATE oberta_flags PkgConfig::OPENCL PkgConfig::CLBLAST PkgConfig::YAML
                                             PkgConfig::JANSSON PkgConfig::XXHASH Threads::Threads m)
endforeach()
# Before 1.0 a minor version may break what was linked against the one before (ARCHITECTURE.md).
set_target_properties(oberta_shared PROPERTIES OUTPUT_NAME oberta VERSION "${PROJECT_VERSION}"
                                               SOVERSION "${PROJECT_VERSION_MAJOR}")
if(NOT OBERTA_SANITIZE)
    target_link_options(oberta_shared PRIVATE -Wl,--no-undefined)
endif()

# The command line, once for the program and once for the test that links it to the shared library.
add_library(oberta_cli OBJECT
    host/cli/bench_report.c
    host/cli/cmd_bench.c
    host/cli/cmd_cache.c
    host/cli/cmd_devices.c
    host/cli/cmd_fill_mask.c
    host/cli/cmd_init.c
    host/cli/cmd_inspect.c
    host/cli/cmd_run.c
    host/cli/cmd_tokenize.c
    host/cli/cmd_tune.c
    host/cli/environment.c
    host/cli/inspect_facts.c
    host/cli/inspect_json.c
    host/cli/inspect_report.c
    host/cli/main.c
    host/cli/options.c
    host/cli/plan.c
    host/cli/print.c
    host/cli/progress.c
    host/cli/tokenize_options.c
    host/cli/tokenize_row.c)
target_link_libraries(oberta_cli PRIVATE oberta_flags PkgConfig::JANSSON)
foreach(folder runtime models host)
    target_include_directories(oberta_cli PRIVATE "${PROJECT_SOURCE_DIR}/${folder}/include")
endforeach()

# A file that runs from wherever it lies, without the shared library beside it.
add_executable(oberta_program $<TARGET_OBJECTS:oberta_cli>)
set_target_properties(oberta_program PROPERTIES OUTPUT_NAME oberta)
target_link_libraries(oberta_program PRIVATE oberta oberta_flags PkgConfig::JANSSON)
