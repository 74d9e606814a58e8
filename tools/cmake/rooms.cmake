# oberta_room(NAME SOURCES file... SEES folder... [LIBRARIES target...])
#
# A room is an object library with the public headers of the folders it may see, and nothing else, on its include path:
# an include against the direction of the architecture does not compile.
include(CheckCCompilerFlag)

add_library(oberta_warnings INTERFACE)
foreach(flag -Wall -Wextra -Wstrict-prototypes -Wmissing-prototypes -Wvla -Wwrite-strings -Wpointer-arith
             -Wold-style-definition -Wshadow -Wundef -Wformat=2 -Wdouble-promotion)
    string(MAKE_C_IDENTIFIER "OBERTA_HAS${flag}" has)
    check_c_compiler_flag(${flag} ${has})
    if(${has})
        target_compile_options(oberta_warnings INTERFACE ${flag})
    endif()
endforeach()
# gcc cannot know that a failing callee always sets the error which the caller returns, and warns of outputs that are only
# written on success.
check_c_compiler_flag(-Wmaybe-uninitialized OBERTA_HAS_MAYBE_UNINITIALIZED)
if(OBERTA_HAS_MAYBE_UNINITIALIZED)
    target_compile_options(oberta_warnings INTERFACE -Wno-maybe-uninitialized)
endif()
if(OBERTA_WERROR)
    target_compile_options(oberta_warnings INTERFACE -Werror)
endif()

add_library(oberta_flags INTERFACE)
target_link_libraries(oberta_flags INTERFACE oberta_warnings)
target_compile_definitions(oberta_flags INTERFACE _POSIX_C_SOURCE=200809L CL_TARGET_OPENCL_VERSION=120
                                                  OB_VERSION="${PROJECT_VERSION}")
# Results must not depend on what the host compiler contracts or reorders.
target_compile_options(oberta_flags INTERFACE -ffp-contract=off -fvisibility=hidden)
if(OBERTA_SANITIZE)
    target_compile_options(oberta_flags INTERFACE -fsanitize=${OBERTA_SANITIZE} -fno-sanitize-recover=all
                                                  -fno-omit-frame-pointer -g)
    target_link_options(oberta_flags INTERFACE -fsanitize=${OBERTA_SANITIZE})
    if(OBERTA_SANITIZE MATCHES "address")
        # Without this Mesa's C++ parts crash at start-up in a C program under AddressSanitizer.
        target_link_options(oberta_flags INTERFACE -Wl,--no-as-needed)
        target_link_libraries(oberta_flags INTERFACE stdc++)
    endif()
endif()
if(OBERTA_FUZZ) # libFuzzer steers by what was covered
    target_compile_options(oberta_flags INTERFACE -fsanitize=fuzzer-no-link)
    target_link_options(oberta_flags INTERFACE -fsanitize=fuzzer-no-link)
endif()

set_property(GLOBAL PROPERTY OBERTA_ROOMS "")

function(oberta_room name)
    cmake_parse_arguments(ROOM "" "" "SOURCES;SEES;LIBRARIES" ${ARGN})
    add_library(oberta_${name} OBJECT ${ROOM_SOURCES})
    foreach(folder ${ROOM_SEES})
        target_include_directories(oberta_${name} PRIVATE "${PROJECT_SOURCE_DIR}/${folder}/include")
    endforeach()
    target_link_libraries(oberta_${name} PRIVATE oberta_flags ${ROOM_LIBRARIES})
    set_property(GLOBAL APPEND PROPERTY OBERTA_ROOMS oberta_${name})
endfunction()
