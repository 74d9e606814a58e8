# liboberta: all rooms in one static library; the program adds the command line.
get_property(rooms GLOBAL PROPERTY OBERTA_ROOMS)
add_library(oberta STATIC)
foreach(room ${rooms})
    target_sources(oberta PRIVATE $<TARGET_OBJECTS:${room}>)
endforeach()
foreach(folder runtime models host)
    target_include_directories(oberta PUBLIC $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/${folder}/include>)
endforeach()
target_include_directories(oberta PUBLIC $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>)
target_link_libraries(oberta PRIVATE oberta_flags PkgConfig::OPENCL PkgConfig::CLBLAST PkgConfig::YAML PkgConfig::JANSSON
                                     PkgConfig::XXHASH Threads::Threads m)

add_executable(oberta_program
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
    host/cli/inspect_report.c
    host/cli/main.c
    host/cli/options.c
    host/cli/plan.c
    host/cli/print.c
    host/cli/progress.c)
set_target_properties(oberta_program PROPERTIES OUTPUT_NAME oberta)
target_link_libraries(oberta_program PRIVATE oberta oberta_flags PkgConfig::JANSSON)
