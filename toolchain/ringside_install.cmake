# `cmake --install`: libvirtio and the drivers for somebody else's kernel, found by find_package(ringside) as ringside::libvirtio and
# ringside::drivers. The kernel is not installed: a program on it is built with the tree (toolchain/ringside.cmake).
include(CMakePackageConfigHelpers)
set(ringside_include include/ringside-${PROJECT_VERSION})
set(ringside_package lib/cmake/ringside)
set_target_properties(ringside_libvirtio PROPERTIES EXPORT_NAME libvirtio)
set_target_properties(ringside_drivers PROPERTIES EXPORT_NAME drivers)
set_target_properties(ringside_headers PROPERTIES EXPORT_NAME headers)
install(TARGETS ringside_libvirtio ringside_drivers ringside_headers EXPORT ringside ARCHIVE DESTINATION lib)
install(EXPORT ringside NAMESPACE ringside:: DESTINATION ${ringside_package} FILE ringside-config.cmake)
write_basic_package_version_file(${PROJECT_BINARY_DIR}/ringside-config-version.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/ringside-config-version.cmake DESTINATION ${ringside_package})
install(DIRECTORY libvirtio drivers DESTINATION ${ringside_include} FILES_MATCHING PATTERN *.hpp)
install(DIRECTORY arch/${RINGSIDE_ARCH}/include/ ${PROJECT_BINARY_DIR}/include/ DESTINATION ${ringside_include} FILES_MATCHING PATTERN *.hpp
  PATTERN app.hpp EXCLUDE)
