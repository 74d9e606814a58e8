# oberta_embed(TARGET file...): files of the repository as byte arrays, declared in "embedded_sources.h", which only TARGET
# can include.
#
# Device code, .cl and .clh, becomes `const ob_source ob_source_<stem>` (program.h), with a #line directive at the top so that
# build logs name the real file. Any other file becomes `const char ob_text_<stem>[]`, NUL-terminated.
if(CMAKE_SCRIPT_MODE_FILE)
    # cmake -DINPUT=... -DOUTPUT=... -P embed.cmake
    get_filename_component(name "${INPUT}" NAME)
    get_filename_component(stem "${INPUT}" NAME_WE)
    file(READ "${INPUT}" hex HEX)
    if(name MATCHES "\\.clh?$")
        string(HEX "#line 1 \"${name}\"\n" line)
        string(PREPEND hex "${line}")
    endif()
    string(LENGTH "${hex}" digits)
    math(EXPR bytes "${digits} / 2")
    string(REGEX REPLACE "([0-9a-f][0-9a-f])" "0x\\1," array "${hex}")
    string(REGEX REPLACE "(0x..,0x..,0x..,0x..,0x..,0x..,0x..,0x..,0x..,0x..,0x..,0x..,0x..,0x..,0x..,0x..,)" "\\1\n"
                         array "${array}")
    if(name MATCHES "\\.clh?$")
        file(WRITE "${OUTPUT}" "/* ${name}, embedded; do not edit */\n#include <oberta/program.h>\n\n"
             "extern const ob_source ob_source_${stem};\n"
             "static const unsigned char text[] = {\n${array}0};\n"
             "const ob_source ob_source_${stem} = {\"${name}\", text, ${bytes}};\n")
    else()
        file(WRITE "${OUTPUT}" "/* ${name}, embedded; do not edit */\n"
             "extern const char ob_text_${stem}[];\n"
             "const char ob_text_${stem}[] = {\n${array}0};\n")
    endif()
    return()
endif()

set(OBERTA_EMBED_SCRIPT "${CMAKE_CURRENT_LIST_FILE}")

function(oberta_embed target)
    set(folder "${CMAKE_CURRENT_BINARY_DIR}/embedded_${target}")
    file(MAKE_DIRECTORY "${folder}")
    set(header "/* Embedded files; do not edit */\n")
    if("${ARGN}" MATCHES "\\.clh?(;|$)")
        string(APPEND header "#include <oberta/program.h>\n")
    endif()
    foreach(file ${ARGN})
        get_filename_component(stem "${file}" NAME_WE)
        get_filename_component(path "${file}" ABSOLUTE)
        set(output "${folder}/${stem}.c")
        add_custom_command(
            OUTPUT "${output}"
            COMMAND "${CMAKE_COMMAND}" "-DINPUT=${path}" "-DOUTPUT=${output}" -P "${OBERTA_EMBED_SCRIPT}"
            DEPENDS "${path}" "${OBERTA_EMBED_SCRIPT}"
            COMMENT "Embedding ${file}"
            VERBATIM)
        target_sources(${target} PRIVATE "${output}")
        if(file MATCHES "\\.clh?$")
            string(APPEND header "extern const ob_source ob_source_${stem};\n")
        else()
            string(APPEND header "extern const char ob_text_${stem}[];\n")
        endif()
    endforeach()
    file(CONFIGURE OUTPUT "${folder}/embedded_sources.h" CONTENT "${header}" @ONLY)
    target_include_directories(${target} PRIVATE "${folder}")
endfunction()
