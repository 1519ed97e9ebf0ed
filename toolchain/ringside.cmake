# For projects of one's own: include this file, then call ringside_add_image(NAME ... SOURCES ...).
# Ringside is compiled along with the project; `ringside run FOLDER` instead lends the libraries that it has already built
# (RINGSIDE_PREBUILT names that build folder).
include(${CMAKE_CURRENT_LIST_DIR}/ringside_image.cmake)
if(RINGSIDE_TOOLCHAIN)
  enable_language(C)
  enable_language(CXX)
  enable_language(ASM)
  if(RINGSIDE_PREBUILT)
    include(${RINGSIDE_PREBUILT}/ringside_targets.cmake)
    foreach(name IN ITEMS headers libvirtio drivers kernel)
      add_library(ringside::${name} ALIAS ringside_${name})
    endforeach()
  else()
    add_subdirectory(${RINGSIDE_ROOT} ringside EXCLUDE_FROM_ALL)
  endif()
endif()
