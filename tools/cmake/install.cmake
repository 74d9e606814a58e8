# What `cmake --install` puts where.
install(TARGETS oberta_program RUNTIME DESTINATION "${CMAKE_INSTALL_BINDIR}")
install(TARGETS oberta oberta_shared ARCHIVE DESTINATION "${CMAKE_INSTALL_LIBDIR}"
                                     LIBRARY DESTINATION "${CMAKE_INSTALL_LIBDIR}")
# What is not installed is no API: these serve kernels and models alone.
set(OBERTA_INTERNAL_HEADERS arena.h buffer.h cl_interop.h clock.h hash.h launch.h parallel.h processor.h program.h schedule.h)
set(excluded "")
foreach(header ${OBERTA_INTERNAL_HEADERS})
    list(APPEND excluded PATTERN "${header}" EXCLUDE)
endforeach()
foreach(folder runtime models host)
    install(DIRECTORY "${PROJECT_SOURCE_DIR}/${folder}/include/oberta" DESTINATION "${CMAKE_INSTALL_INCLUDEDIR}"
            FILES_MATCHING PATTERN "*.h" ${excluded})
endforeach()
install(DIRECTORY "${PROJECT_SOURCE_DIR}/tools/examples" DESTINATION "${CMAKE_INSTALL_DOCDIR}")
install(DIRECTORY "${PROJECT_SOURCE_DIR}/models/demo" DESTINATION "${CMAKE_INSTALL_DATADIR}/oberta/models")
install(DIRECTORY "${PROJECT_SOURCE_DIR}/kernels/tuning/tables/" DESTINATION "${CMAKE_INSTALL_DATADIR}/oberta/tuning")
install(FILES "${PROJECT_SOURCE_DIR}/README.md" "${PROJECT_SOURCE_DIR}/LICENSE" DESTINATION "${CMAKE_INSTALL_DOCDIR}")
# Relative, so that `cmake --install --prefix` may put it anywhere.
file(RELATIVE_PATH OBERTA_PC_TO_PREFIX "/prefix/${CMAKE_INSTALL_LIBDIR}/pkgconfig" "/prefix")
configure_file("${PROJECT_SOURCE_DIR}/tools/cmake/oberta.pc.in" "${PROJECT_BINARY_DIR}/oberta.pc" @ONLY)
install(FILES "${PROJECT_BINARY_DIR}/oberta.pc" DESTINATION "${CMAKE_INSTALL_LIBDIR}/pkgconfig")
