# Where `ringside setup` has put the C library and lwIP. Each can be set by hand: -DRINGSIDE_NEWLIB=... , -DLWIP_SOURCE=...
if(DEFINED ENV{RINGSIDE_CACHE})
  set(RINGSIDE_CACHE_FOLDER "$ENV{RINGSIDE_CACHE}")
elseif(DEFINED ENV{XDG_CACHE_HOME})
  set(RINGSIDE_CACHE_FOLDER "$ENV{XDG_CACHE_HOME}/ringside")
else()
  set(RINGSIDE_CACHE_FOLDER "$ENV{HOME}/.cache/ringside")
endif()

# The key names everything that the result depends on: version, processor, compiler, and the script with all flags in it.
# toolchain/ringside/newlib.py builds the same name.
function(ringside_newlib_folder out arch compiler)
  file(GLOB archives /usr/src/newlib/newlib-*.tar.*)
  list(POP_FRONT archives archive)
  string(REGEX REPLACE "^.*/(newlib-.*)\\.tar\\..*$" "\\1" version "${archive}")
  execute_process(COMMAND ${compiler} -dumpfullversion OUTPUT_VARIABLE gcc OUTPUT_STRIP_TRAILING_WHITESPACE)
  file(SHA256 ${CMAKE_CURRENT_FUNCTION_LIST_DIR}/build-newlib.sh script)
  string(SUBSTRING ${script} 0 12 script)
  set(${out} ${RINGSIDE_CACHE_FOLDER}/${version}-${arch}-gcc${gcc}-${script} PARENT_SCOPE)
endfunction()
