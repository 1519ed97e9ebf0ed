# ringside_add_image(NAME my_app SOURCES main.cpp [more.cpp ...] [LINK library ...])
# makes a bootable ELF image, my_app.elf, out of a program: its sources, the kernel, the drivers, newlib.
#
# The image is linked twice. The first link gives the addresses of all functions; they become a table (toolchain/symbols.py says what it
# looks like) with which the second link is done, so that a panic can print names. The table stands behind the code in read-only data:
# no function moves between the two links, and the second step checks that.
include_guard(GLOBAL)
set(RINGSIDE_ROOT ${CMAKE_CURRENT_LIST_DIR}/.. CACHE INTERNAL "")
get_filename_component(RINGSIDE_ROOT ${RINGSIDE_ROOT} ABSOLUTE)

function(ringside_add_image)
  cmake_parse_arguments(PARSE_ARGV 0 image "" "NAME" "SOURCES;LINK")
  if(NOT image_NAME OR NOT image_SOURCES OR image_UNPARSED_ARGUMENTS)
    message(FATAL_ERROR "ringside_add_image(NAME name SOURCES file ... [LINK library ...])")
  endif()
  if(NOT RINGSIDE_TOOLCHAIN)
    message(FATAL_ERROR "ringside_add_image: this build has no Ringside toolchain. Configure an empty build folder with the line\n"
      "  cmake -DCMAKE_TOOLCHAIN_FILE=${RINGSIDE_ROOT}/toolchain/x86_64.cmake -S ${CMAKE_SOURCE_DIR} -B build\n")
  endif()
  set(script ${RINGSIDE_ROOT}/boot/${RINGSIDE_TOOLCHAIN}/kernel.ld)
  set(symbols ${RINGSIDE_ROOT}/toolchain/symbols.py)
  set(folder ${CMAKE_CURRENT_BINARY_DIR}/${image_NAME}.symbols)

  add_library(${image_NAME}_objects OBJECT ${image_SOURCES})
  target_link_libraries(${image_NAME}_objects PRIVATE ringside::kernel ${image_LINK})
  if(RINGSIDE_WERROR)
    target_link_libraries(${image_NAME}_objects PRIVATE ringside_product)
  endif()

  add_custom_command(OUTPUT ${folder}/none.S
    COMMAND python3 ${symbols} --empty ${folder}/none.S
    DEPENDS ${symbols} VERBATIM)
  add_custom_command(OUTPUT ${folder}/all.S
    COMMAND python3 ${symbols} --nm ${CMAKE_NM} --elf $<TARGET_FILE:${image_NAME}_unnamed> ${folder}/all.S
    DEPENDS ${symbols} ${image_NAME}_unnamed VERBATIM)
  foreach(pass IN ITEMS unnamed named)
    if(pass STREQUAL unnamed)
      set(target ${image_NAME}_unnamed)
      add_executable(${target} EXCLUDE_FROM_ALL ${folder}/none.S)
    else()
      set(target ${image_NAME})
      add_executable(${target} ${folder}/all.S)
      set_target_properties(${target} PROPERTIES SUFFIX .elf)
      add_custom_command(TARGET ${target} POST_BUILD
        COMMAND python3 ${symbols} --nm ${CMAKE_NM} --elf $<TARGET_FILE:${target}> --check ${folder}/all.S VERBATIM)
    endif()
    # The whole kernel is named, not only what the program refers to: newlib refers back to it (locks, system calls), and an archive that is
    # searched too late would leave newlib's own dummies in place. --gc-sections drops what nobody reaches.
    target_sources(${target} PRIVATE $<TARGET_OBJECTS:${image_NAME}_objects>)
    target_link_libraries(${target} PRIVATE -Wl,--whole-archive $<TARGET_FILE:ringside::kernel> -Wl,--no-whole-archive ${image_LINK}
      ringside::drivers ringside_lwip -Wl,--start-group ${RINGSIDE_NEWLIB}/lib/libc.a ${RINGSIDE_NEWLIB}/lib/libm.a -lgcc -Wl,--end-group)
    target_link_options(${target} PRIVATE -T ${script} -Wl,-Map=${CMAKE_CURRENT_BINARY_DIR}/${target}.map)
    set_target_properties(${target} PROPERTIES LINK_DEPENDS "${script};$<TARGET_FILE:ringside::kernel>")
  endforeach()
endfunction()
