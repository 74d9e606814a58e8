# Every library comes from the system (Debian's -dev packages); pkg-config finds them.
find_package(PkgConfig REQUIRED)
find_package(Threads REQUIRED)
pkg_check_modules(OPENCL REQUIRED IMPORTED_TARGET OpenCL)
pkg_check_modules(CLBLAST REQUIRED IMPORTED_TARGET clblast)
pkg_check_modules(YAML REQUIRED IMPORTED_TARGET yaml-0.1)
pkg_check_modules(JANSSON REQUIRED IMPORTED_TARGET jansson>=2.10)
pkg_check_modules(XXHASH REQUIRED IMPORTED_TARGET libxxhash)
