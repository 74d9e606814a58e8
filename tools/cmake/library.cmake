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

file(GLOB cli_sources CONFIGURE_DEPENDS "${PROJECT_SOURCE_DIR}/host/cli/*.c")
if(cli_sources)
    add_executable(oberta_program ${cli_sources})
    set_target_properties(oberta_program PROPERTIES OUTPUT_NAME oberta)
    target_link_libraries(oberta_program PRIVATE oberta oberta_flags PkgConfig::JANSSON)
endif()
